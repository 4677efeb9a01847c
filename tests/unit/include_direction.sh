#!/bin/bash
# The rooms of this repository: includes go one way, from outside a room only its doors are included, and each library
# has one door. Every room lists its own sources (CMakeLists.txt) and has a line of purpose in README.md.
# usage: include_direction.sh REPOSITORY
set -u
cd "$1" || exit 1

# From the ground up: a file may include its own room and those that stand before it. The doors of a room are for all;
# its inner doors, behind the bar, for the rooms of its top folder alone. A folder that is not in the list belongs to the
# room above it. A file, or a pair of .h and .cpp, that stands higher than the rest of its folder has a line of its own.
rooms='
base/hash                   hash.h sha256.h xxh64.h
base                        ascii.h check.h check_call.h durable_file.h exception_text.h foreign_format.h heartbeat.h home_folder.h
                            input_file.h json_fields.h json_tree.h line_reader.h nearest_name.h numbers.h output_file.h
                            output_stage.h printable.h random.h read_any.h staged_file.h utf8.h version_row.h write_all.h
                            write_signals.h

kernels                     backend.h call_timer.h draw.h dtype.h energy_meter.h few_rows.h layer_parts.h ops.h pages.h
                            position_split.h tensor.h fused_decode.h device_thread.h
                            | device_api.h linear_tuning.h op_declarations.inl op_table.inl
kernels/cpu/simd            | simd.h
kernels/cpu                 | cpu_backend.h
kernels/cuda/device         cuda_device.h launch.cuh workspace.h
                            | cuda_check.h cuda_ops.h device_math.cuh kernel_family.h
                            visible_gpus.h
kernels/cuda/ptx            | async_copy.cuh barriers.cuh bulk_copy.cuh clusters.cuh mma.cuh portable.cuh registers.cuh
                            tensor_map.h wgmma.cuh
kernels/cuda/rows           | rope.cuh silu.h
kernels/cuda/sampling       |
kernels/cuda/linear         | linear_choices.h linear_kernels.h linear_output.cuh
kernels/cuda/linear/sm80    |
kernels/cuda/linear/sm90    |
kernels/cuda/attention      | attention_kernels.h attention_merge.cuh attention_outputs.cuh
                            attention_plan.cuh block_scan.cuh
kernels/cuda/attention/sm80 |
kernels/cuda/attention/sm90 |
kernels/cuda/decode_step    | fused_decode.h
kernels/cuda                | cuda_backend.h
kernels/backend.cpp
kernels/backend_versions    backend_versions.h

parallel                    communicator.h grid_shape.h shard_spec.h
parallel/mpi                agreement.h background_gather.h launch_claim.h mpi_environment.h
                            mpi_group.h mpi_mailbox.h peers.h pmi_support.h starter.h | mpi_communicator.h
parallel/nccl               | nccl_communicator.h
parallel/make_communicator  make_communicator.h
parallel/process_grid       process_grid.h

model/config                model_config.h | layer_table.h model_texts.h
model/text/jinja/values     | arena.h cursor.h dict.h loop_state.h number_format.h operators.h percent_format.h
                            python_text.h render_meter.h text_find.h text_index.h value.h white_space.h
model/text/jinja/syntax     | lexer.h parser.h scopes.h syntax.h
model/text/jinja/evaluator  | builtin.h evaluator.h render_limits.h
model/text/jinja/builtins   | builtin_tables.h
model/text/jinja            | template.h
model/text                  chat_template.h pre_tokenizer_unicode.h stream_decoder.h tokenizer.h
model/files                 converter.h hdf5_version.h weight_store.h
model/shard                 decoder_weights.h model_shard.h reshard.h
model/decoder               decoder.h sampler.h

runtime/version             version.h
runtime/config              engine_config.h
                            | batch_options.h bench_options.h config_reader.h config_rows.h engine_rows.h line_range.h
                            model_files.h output_conflict.h
runtime/process             last_words.h placed_error.h progress.h spin_limit.h | cpu_threads.h injected_fault.h
                            launch_clock.h signals.h stop_request.h time_limit.h watchdog.h
runtime/schedule            | draft_options.h rank_times.h request.h scheduler.h step_cost.h step_events.h step_plan.h
                            step_result.h step_work.h
runtime/engine              | engine.h measure_products.h model_runner.h plan_file.h plan_replay.h runner_options.h
runtime/planning            grid_planner.h | default_sequences.h grid_cost.h machine_rates.h measure_device.h memory_budget.h
                            rank_sizes.h
runtime/rank                | local_model.h
runtime/api                 | answer.h api_context.h completion.h completion_body.h completion_stream.h
                            text_output.h
runtime/answers             | desk.h
runtime/replicas            | replica_pool.h
runtime/batch/journal       | answer_index.h answers_in_order.h fingerprint_json.h input_digest.h job_file.h
                            job_fingerprint.h journal_file.h line_set.h
runtime/batch               rerun.h
                            | batch_envelope.h batch_job.h batch_output.h batch_rows.h model_fingerprint.h request_feed.h run_facts.h
runtime/server              | server.h server_rows.h
runtime/bench               | bench_grids.h bench_job.h bench_rows.h
runtime                     job.h job_config.h

launcher
'

# Libraries, and doors that are not for all their neighbours: who may include what matches.
only='
cublas                         kernels/cuda/linear
cuda(_|\.h|\.hpp|rt)           kernels/cuda parallel/nccl
kernels/cuda/                  kernels parallel/nccl
dnnl|oneapi                    kernels/cpu/onednn_
nccl                           parallel/nccl
mpi\.h                         parallel/mpi
hdf5                           model/files
pcre2                          model/text
utf8proc                       model/text
yaml-cpp                       runtime/config
boost|httplib|microhttpd       runtime/server
CLI/                           launcher
'

# Types of libraries stay out of headers, but for those of the doors themselves.
in_headers='runtime/api/choice_json.h runtime/batch/journal/fingerprint_json.h runtime/server/http_body.h runtime/server/http_connection.h runtime/server/http_stream.h kernels/cuda/ parallel/mpi/mpi_handle.h parallel/nccl/nccl_check.h'

check_includes() {
  find base kernels parallel model runtime launcher -regex '.*\.\(h\|cpp\|cu\|cuh\|inl\)' -print0 | sort -z |
    xargs -0 grep -HnE '^#include [<"]' |
    rooms=$rooms only=$only in_headers=$in_headers awk '
      function fault(text) { print place ": " text; faults = 1 }
      function top(path) { sub("/.*", "", path); return path }
      # The room of a file: itself, with or without its ending, where the list names it; else its folder, or the next
      # one above that is in the list.
      function room_of(path,   stem) {
        stem = path
        sub(/\.[a-z]*$/, "", stem)
        if (stem in level) return stem
        while (!(path in level) && path ~ "/") sub("/[^/]*$", "", path)
        return path
      }
      function read_rooms(   words, n, i, room, inner) {
        n = split(ENVIRON["rooms"], lines, "\n")
        for (i = 1; i <= n; ++i) {
          is_new = lines[i] ~ /^[a-z]/
          count = split(lines[i], words, " ")
          if (is_new) { room = words[1]; level[room] = ++levels; inner = 0 }
          for (j = is_new ? 2 : 1; j <= count; ++j)
            if (words[j] == "|") inner = 1
            else door[room, words[j]] = inner ? "inner" : "open"
        }
      }
      function read_only(   words, n, i) {
        n = split(ENVIRON["only"], lines, "\n")
        for (i = 1; i <= n; ++i)
          if ((count = split(lines[i], words, " ")) > 1) {
            pattern[++patterns] = "^(" words[1] ")"
            for (j = 2; j <= count; ++j) allowed[patterns, j - 1] = words[j]
          }
      }
      function check_library(file, header,   i, j, ok) {
        for (i = 1; i <= patterns; ++i) {
          if (header !~ pattern[i]) continue
          for (j = 1; (i, j) in allowed; ++j) if (index(file, allowed[i, j]) == 1) break
          if (!((i, j) in allowed)) fault(header " is for " allowed[i, 1] " alone")
        }
      }
      function check_room(file, header,   from, to, name) {
        from = room_of(file); to = room_of(header); name = header
        sub(".*/", "", name)
        if (!(from in level)) fault("the room " from " is not in the list")
        else if (from == to) return
        else if (!(to in level)) fault(header ": its room is not in the list")
        else if (level[to] > level[from]) fault(header ": " from " stands below " to)
        else if (!((to, name) in door)) fault(header " is not a door of " to)
        else if (door[to, name] == "inner" && top(from) != top(to)) fault(header " is a door for " top(to) " alone")
        if (entered[to, name] != "outside") entered[to, name] = top(from) == top(to) ? "inside" : "outside"
      }
      # A door is one that somebody enters, from outside its top folder if it is for all.
      function check_doors(   key, part) {
        for (key in door) {
          split(key, part, SUBSEP)
          place = part[1] ": " part[2]
          if (!(key in entered)) fault("nobody enters by this door")
          else if (door[key] == "open" && entered[key] == "inside") fault("only its top folder enters by this door")
        }
      }
      BEGIN { read_rooms(); read_only(); exempt = split(ENVIRON["in_headers"], exempted, " ") }
      {
        split($0, part, ":"); file = part[1]; place = file ":" part[2]
        header = $0
        sub(/.*#include [<"]/, "", header); sub(/[>"].*/, "", header)
        check_library(file, header)
        if ($0 ~ /#include "/) check_room(file, header)
        else if (file ~ /\.h$/ && header ~ /^(nlohmann|yaml-cpp|hdf5|mpi\.h|nccl|cublas|cuda|dnnl|pcre2|utf8proc|boost|CLI\/)/) {
          for (i = 1; i <= exempt; ++i) if (index(file, exempted[i]) == 1) break
          if (i > exempt) fault(header ": a type of a library in a header")
        }
      }
      END { check_doors(); exit faults }'
}

# Every folder of the list has its CMakeLists.txt, and README.md's table has a row "| `folder/` | purpose |" for each, in
# the same order.
check_rooms() {
  local bad=0 room folders=''
  for room in $(awk '/^[a-z]/ {print $1}' <<< "$rooms"); do
    [ -d "$room" ] || continue
    folders+=$room$'\n'
    [ -f "$room/CMakeLists.txt" ] || { echo "$room/CMakeLists.txt: missing; a room lists its own sources"; bad=1; }
  done
  diff --label 'the list of rooms' --label README.md -U0 <(printf '%s' "$folders") \
    <(sed -nE 's/^\| `([a-z0-9_/]*)\/` \| [^|]{10,} \|$/\1/p' README.md) || bad=1
  return $bad
}

check_includes
includes=$?
check_rooms && exit $includes
exit 1
