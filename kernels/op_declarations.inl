// The ops of kernels/ops.h, kernels/sampling_ops.h and kernels/speculation_ops.h as functions:
// included inside the namespace of a backend, which defines them. What each computes stands there.

void begin_step(Stream, const BatchView&, const AttentionShape&);
size_t packed_bytes(int64_t rows, int64_t cols, DType dtype);
Weight pack_weight(Stream, const Tensor& natural, Tensor& storage);
Tensor unpack_weight(Stream, const Weight&, const Tensor& storage);
void embed(Stream, const EmbedArgs&);
void add_rms_norm(Stream, const AddRmsNormArgs&);
void linear(Stream, const LinearArgs&);
void rope_and_store_kv(Stream, const RopeAndStoreArgs&);
void attention(Stream, const AttentionArgs&);
void finish_linear(Stream, const FinishLinearArgs&);
void pack_attention(Stream, const PackAttentionArgs&);
void merge_attention(Stream, const MergeAttentionArgs&);
void add(Stream, TensorView to, TensorView x);
void copy_columns(Stream, TensorView to, int64_t to_column, TensorView x, int64_t from_column,
                  int64_t columns);
void gather_rows(Stream, TensorView out, TensorView x, const int32_t* rows);
void update_page_table(Stream, int32_t* page_table, int64_t stride, const PageDelta*,
                       int32_t count);
void copy_pages(Stream, TensorView pools, int64_t page_size, const PageCopy*, int32_t count);
void fill_random(Stream, TensorView out, uint64_t seed, float scale, int64_t row0, int64_t col0,
                 int64_t full_cols);

void edit_logits(Stream, TensorView logits, const SamplingRow* rows, const int32_t* last_tokens,
                 const LogitEdit* edits, int32_t count, int64_t vocab_begin);
void apply_penalties(Stream, TensorView logits, const SamplingRow* rows,
                     const int32_t* token_counts, uint32_t* granule_keys);
void reset_counts(Stream, int32_t* counts, int64_t vocab, const CountedTokens&,
                  int64_t vocab_begin);
void shortlist(Stream, TensorView logits, const SamplingRow* rows, const uint32_t* granule_keys,
               int64_t vocab_begin, Shortlist* lists, ShortlistEntries* entries);
void draw_shortlist(Stream, const DrawShortlistArgs&);
void row_max(Stream, TensorView logits, float* row_max);
void begin_selection(Stream, const SamplingRow* rows, const float* row_max, Selection* selections,
                     int32_t num_rows);
void histogram(Stream, TensorView logits, const SamplingRow* rows, const Selection* selections,
               SelectBy by, int round, int64_t* histogram);
void narrow(Stream, const SamplingRow* rows, const int64_t* histogram, SelectBy by, int round,
            Selection* selections, int32_t num_rows);
void draw(Stream, TensorView logits, const SamplingRow* rows, const Selection* selections,
          int64_t vocab_begin, Candidate* best);
void choose(Stream, const ChooseArgs&);
void log_sum_exp(Stream, TensorView logits, float* max_and_sum, uint32_t* granule_keys);
void target_logits(Stream, TensorView logits, const int32_t* targets, int64_t vocab_begin,
                   float* out);
void top_logits(Stream, TensorView logits, const uint32_t* granule_keys, int n, int64_t vocab_begin,
                Candidate* out);

void start_histories(Stream, const TokenHistory&, const HistoryStart* starts, int32_t count,
                     const int32_t* tokens);
void propose_drafts(Stream, const ProposeArgs&);
void accept_drafts(Stream, const AcceptArgs&);
