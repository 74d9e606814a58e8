/* Merges the pair of lowest rank, leftmost first, until none is left.
 *
 * Short pieces scan all pairs each time; long ones keep the candidates in a heap ordered by rank and place, with
 * entries that went stale skipped, which is O(n log n) on a million equal characters. Both give the same tokens. */
#include "byte_bpe.h"

#include <oberta/hash.h>
#include <oberta/memory.h>
#include <oberta/utf8.h>
#include <string.h>

#define SHORT_PIECE   24   /* symbols */
#define CACHED_BYTES  32   /* longest piece that is remembered */
#define CACHED_TOKENS 8    /* most tokens of one */
#define CACHE_PIECES  8192 /* entries; a power of two. 1 MiB a thread */

typedef struct ob__heap_entry {
    uint32_t rank;
    int32_t at;      /* left symbol */
    int32_t product; /* what the pair becomes */
    uint32_t bytes;  /* of the pair when it was found: another number means it went stale */
} heap_entry;

typedef struct ob__cached_piece {
    uint8_t bytes, count; /* bytes 0: empty */
    char piece[CACHED_BYTES];
    ob__bpe_token tokens[CACHED_TOKENS];
} cached_piece;

ob_tokenizer_cache *ob_tokenizer_cache_create(void)
{
    return ob_calloc(1, sizeof(ob_tokenizer_cache));
}

void ob_tokenizer_cache_destroy(ob_tokenizer_cache *cache)
{
    if (cache == NULL)
        return;
    ob_free(cache->symbols);
    ob_free(cache->links);
    ob_free(cache->heap);
    ob_free(cache->pieces);
    ob_free(cache->trims);
    ob_encoding_release(&cache->whole);
    ob_strbuf_release(&cache->mapped);
    ob_free(cache);
}

static size_t merge_short(const ob__merges *merges, ob__bpe_token *symbols, size_t count)
{
    const ob__merge *found[SHORT_PIECE];
    for (size_t i = 0; i + 1 < count; i++)
        found[i] = ob__merges_find(merges, symbols[i].id, symbols[i + 1].id);
    for (;;) {
        size_t best = count;
        for (size_t i = 0; i + 1 < count; i++)
            if (found[i] != NULL && (best == count || found[i]->rank < found[best]->rank))
                best = i;
        if (best == count)
            return count;
        symbols[best].id = found[best]->product;
        symbols[best].bytes += symbols[best + 1].bytes;
        memmove(symbols + best + 1, symbols + best + 2, (count - best - 2) * sizeof *symbols);
        if (count - best > 2)
            memmove(found + best + 1, found + best + 2, (count - best - 3) * sizeof *found);
        count--;
        if (best > 0)
            found[best - 1] = ob__merges_find(merges, symbols[best - 1].id, symbols[best].id);
        if (best + 1 < count)
            found[best] = ob__merges_find(merges, symbols[best].id, symbols[best + 1].id);
    }
}

typedef struct long_piece {
    const ob__merges *merges;
    ob__bpe_token *symbols;
    int32_t *previous, *next; /* -1 at the ends */
    ob_tokenizer_cache *cache;
    size_t heap_count;
} long_piece;

static bool before(const heap_entry *a, const heap_entry *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static bool push(long_piece *p, int32_t at)
{
    if (at < 0 || p->next[at] < 0)
        return true;
    const ob__bpe_token *left = &p->symbols[at], *right = &p->symbols[p->next[at]];
    const ob__merge *merge = ob__merges_find(p->merges, left->id, right->id);
    if (merge == NULL)
        return true;
    ob_tokenizer_cache *cache = p->cache;
    if (!ob_array_reserve((void **)&cache->heap, &cache->heap_capacity, p->heap_count + 1, sizeof *cache->heap))
        return false;
    heap_entry entry = {merge->rank, at, merge->product, left->bytes + right->bytes};
    size_t hole = p->heap_count++;
    while (hole > 0 && before(&entry, &cache->heap[(hole - 1) / 2])) {
        cache->heap[hole] = cache->heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    cache->heap[hole] = entry;
    return true;
}

static heap_entry pop(long_piece *p)
{
    heap_entry *heap = p->cache->heap, top = heap[0], moved = heap[--p->heap_count];
    size_t hole = 0;
    for (size_t child; (child = 2 * hole + 1) < p->heap_count; hole = child) {
        if (child + 1 < p->heap_count && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &moved))
            break;
        heap[hole] = heap[child];
    }
    heap[hole] = moved;
    return top;
}

/* True where the entry still speaks of the pair that stands at its place. */
static bool is_current(const long_piece *p, const heap_entry *entry)
{
    const ob__bpe_token *left = &p->symbols[entry->at];
    if (left->bytes == 0 || p->next[entry->at] < 0)
        return false;
    const ob__bpe_token *right = &p->symbols[p->next[entry->at]];
    if (left->bytes + right->bytes != entry->bytes)
        return false;
    const ob__merge *merge = ob__merges_find(p->merges, left->id, right->id);
    return merge != NULL && merge->rank == entry->rank;
}

static bool merge_long(const ob__merges *merges, ob_tokenizer_cache *cache, size_t *count)
{
    size_t n = *count;
    if (!ob_array_reserve((void **)&cache->links, &cache->link_capacity, 2 * n, sizeof *cache->links))
        return false;
    long_piece p = {merges, cache->symbols, cache->links, cache->links + n, cache, 0};
    for (size_t i = 0; i < n; i++) {
        p.previous[i] = (int32_t)i - 1;
        p.next[i] = i + 1 < n ? (int32_t)i + 1 : -1;
    }
    for (size_t i = 0; i + 1 < n; i++)
        if (!push(&p, (int32_t)i))
            return false;
    while (p.heap_count > 0) {
        heap_entry entry = pop(&p);
        if (!is_current(&p, &entry))
            continue;
        int32_t left = entry.at, right = p.next[left];
        p.symbols[left].id = entry.product;
        p.symbols[left].bytes += p.symbols[right].bytes;
        p.symbols[right].bytes = 0; /* gone */
        p.next[left] = p.next[right];
        if (p.next[left] >= 0)
            p.previous[p.next[left]] = left;
        if (!push(&p, p.previous[left]) || !push(&p, left))
            return false;
    }
    size_t kept = 0;
    for (int32_t i = 0; i >= 0; i = p.next[i])
        p.symbols[kept++] = p.symbols[i];
    *count = kept;
    return true;
}

static cached_piece *find_cached(ob_tokenizer_cache *cache, const char *piece, size_t bytes)
{
    if (cache->pieces == NULL) {
        cache->pieces = ob_calloc(CACHE_PIECES, sizeof *cache->pieces);
        if (cache->pieces == NULL)
            return NULL;
    }
    return &cache->pieces[ob_hash_bytes(piece, bytes).low & (CACHE_PIECES - 1)];
}

static void remember(cached_piece *entry, const char *piece, size_t bytes, const ob__bpe_token *tokens, size_t count)
{
    if (count > CACHED_TOKENS)
        return;
    entry->bytes = (uint8_t)bytes;
    entry->count = (uint8_t)count;
    memcpy(entry->piece, piece, bytes);
    memcpy(entry->tokens, tokens, count * sizeof *tokens);
}

/* The piece's symbols with the rules for missing ones. Returns how many. */
static size_t incomplete_symbols(const ob__bpe *bpe, ob__bpe_token *symbols, const char *piece, size_t bytes)
{
    size_t count = 0;
    bool in_unk = false;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)piece[i];
        uint32_t length = ob__byte_to_char(byte) < 0x80 ? 1 : 2;
        int32_t id = bpe->vocab.byte_ids[byte];
        bool unk = id < 0 && bpe->unk_id >= 0;
        if (unk && in_unk && bpe->fuse_unk)
            symbols[count - 1].bytes += length;
        else if (unk || id >= 0)
            symbols[count++] = (ob__bpe_token){unk ? bpe->unk_id : id, length};
        in_unk = unk;
    }
    return count;
}

/* The token that the whole piece is; -1 for none. *ok false: no memory. */
static int32_t whole_token(const ob__bpe *bpe, ob_tokenizer_cache *cache, const char *piece, size_t bytes, bool *ok)
{
    char symbol[4];
    ob_strbuf_clear(&cache->mapped);
    for (size_t i = 0; i < bytes; i++)
        ob_strbuf_append(&cache->mapped, symbol, ob_utf8_encode(ob__byte_to_char((unsigned char)piece[i]), symbol));
    *ok = !cache->mapped.failed;
    int32_t id = *ok ? ob__vocab_find(&bpe->vocab, ob_strbuf_text(&cache->mapped), cache->mapped.length) : -1;
    return id >= 0 && bpe->vocab.tokens[id].foreign ? -1 : id;
}

/* Without the memory of pieces: cache->symbols gets the tokens. */
static bool encode_new(const ob__bpe *bpe, ob_tokenizer_cache *cache, const char *piece, size_t bytes, size_t *count)
{
    if (bytes > INT32_MAX / 2 ||
        !ob_array_reserve((void **)&cache->symbols, &cache->symbol_capacity, bytes, sizeof *cache->symbols))
        return false;
    if (bpe->ignore_merges) {
        bool ok;
        int32_t id = whole_token(bpe, cache, piece, bytes, &ok);
        if (!ok)
            return false;
        if (id >= 0) {
            cache->symbols[0] = (ob__bpe_token){id, (uint32_t)(bpe->complete ? bytes : cache->mapped.length)};
            *count = 1;
            return true;
        }
    }
    size_t symbols = bytes;
    if (bpe->complete)
        for (size_t i = 0; i < bytes; i++)
            cache->symbols[i] = (ob__bpe_token){bpe->vocab.byte_ids[(unsigned char)piece[i]], 1};
    else
        symbols = incomplete_symbols(bpe, cache->symbols, piece, bytes);
    *count = symbols;
    if (symbols > SHORT_PIECE)
        return merge_long(&bpe->merges, cache, count);
    *count = merge_short(&bpe->merges, cache->symbols, symbols);
    return true;
}

bool ob__bpe_encode(const ob__bpe *bpe, ob_tokenizer_cache *cache, const char *piece, size_t bytes,
                    const ob__bpe_token **tokens, size_t *count)
{
    cached_piece *entry = bytes <= CACHED_BYTES ? find_cached(cache, piece, bytes) : NULL;
    if (entry != NULL && entry->bytes == bytes && memcmp(entry->piece, piece, bytes) == 0) {
        *tokens = entry->tokens;
        *count = entry->count;
        return true;
    }
    if (!encode_new(bpe, cache, piece, bytes, count))
        return false;
    if (entry != NULL)
        remember(entry, piece, bytes, cache->symbols, *count);
    *tokens = cache->symbols;
    return true;
}
