// The table of the ops that op_declarations.inl declares: included after it, inside the namespace
// of a backend.

inline const Ops& op_table() {
  static const Ops ops{.begin_step = begin_step,
                       .packed_bytes = packed_bytes,
                       .pack_weight = pack_weight,
                       .unpack_weight = unpack_weight,
                       .embed = embed,
                       .add_rms_norm = add_rms_norm,
                       .linear = linear,
                       .rope_and_store_kv = rope_and_store_kv,
                       .attention = attention,
                       .finish_linear = finish_linear,
                       .pack_attention = pack_attention,
                       .merge_attention = merge_attention,
                       .add = add,
                       .copy_columns = copy_columns,
                       .gather_rows = gather_rows,
                       .update_page_table = update_page_table,
                       .copy_pages = copy_pages,
                       .fill_random = fill_random,
                       .sampling = {.edit_logits = edit_logits,
                                    .apply_penalties = apply_penalties,
                                    .reset_counts = reset_counts,
                                    .shortlist = shortlist,
                                    .draw_shortlist = draw_shortlist,
                                    .row_max = row_max,
                                    .begin_selection = begin_selection,
                                    .histogram = histogram,
                                    .narrow = narrow,
                                    .draw = draw,
                                    .choose = choose,
                                    .log_sum_exp = log_sum_exp,
                                    .target_logits = target_logits,
                                    .top_logits = top_logits}};
  return ops;
}
