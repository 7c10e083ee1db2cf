/* program.c: a compiled step: calls of kernels, one after the other, with nothing in between.
 *
 * What is called with what was decided when the step was compiled (compiler/ in Python): a call is
 * a function and the words that are its arguments. Most words never change. Those that do, the
 * arrays that come and go with each run, are told apart by the binds: before a run, each puts the
 * address of one of these arrays, plus an offset, into the word that waits for it. */
#include "internal.h"

static void bind_arrays(const struct tg_program *program, const uintptr_t *arrays, size_t head)
{
    for (size_t i = 0; i < program->bind_count; i++) {
        const struct tg_bind *bind = &program->binds[i];
        uintptr_t array = arrays[bind->array];
        char *numbers = head ? *(char **)(array + head) : (char *)array;
        bind->word->p = numbers + bind->offset;
    }
}

static int make_calls(const struct tg_program *program, size_t *failed)
{
    for (size_t i = 0; i < program->call_count; i++) {
        const struct tg_call *call = &program->calls[i];
        int status = call->kernel(call->words);
        if (status != TG_OK) {
            *failed = i;
            return status;
        }
    }
    return TG_OK;
}

int tg_run(const struct tg_program *program, const uintptr_t *arrays, size_t *failed)
{
    bind_arrays(program, arrays, program->head);
    return make_calls(program, failed);
}

int tg_run_many(const struct tg_program *program, const struct tg_many *many, size_t count,
                size_t *done, size_t *failed)
{
    for (*done = 0; *done < count; ++*done) {
        for (size_t i = 0; i < many->source_count; i++) {
            const struct tg_source *source = &many->sources[i];
            for (size_t row = 0; row < many->batch_size; row++) {
                size_t chosen = (size_t)many->order[*done * many->batch_size + row];
                memcpy(source->batch + row * source->row_bytes,
                       source->rows + chosen * source->row_bytes, source->row_bytes);
            }
        }
        for (size_t i = 0; i < many->varying_count; i++) {
            *many->varying[i].word = many->varying[i].values[*done];
        }
        bind_arrays(program, many->arrays, 0);
        int status = make_calls(program, failed);
        if (status != TG_OK) {
            return status;
        }
        for (size_t i = 0; i < many->array_count; i++) {
            many->arrays[i] += many->steps[i];
        }
    }
    return TG_OK;
}

int words_count(const union tg_word *words)
{
    *(int64_t *)words[0].p += words[1].i;
    return TG_OK;
}

/* ---- Chains of elementwise kernels, tile by tile ---------------------------------------------- */

struct chain {
    const struct tg_tiles *tiles;
    int status;
};

/* The words of one call for the tile of n elements that begins at `begin`. */
static void tile_words(union tg_word *words, const struct tg_tiles *t, size_t call, size_t begin,
                       size_t n, char *registers)
{
    const union tg_word *fixed = t->calls[call].words;
    const unsigned char *moves = t->moves + call * TG_TILE_WORDS;
    for (size_t i = 0; i < TG_TILE_WORDS; i++) {
        words[i] = fixed[i];
        switch (moves[i]) {
        case TG_ALONG:
            words[i].p = (char *)fixed[i].p + begin * t->itemsize;
            break;
        case TG_REGISTER:
            words[i].p = registers + fixed[i].n * t->tile * t->itemsize;
            break;
        case TG_LENGTH:
            words[i].n = n;
            break;
        case TG_BEGIN:
            words[i].n = begin;
            break;
        default:
            break;
        }
    }
}

static void run_tiles(void *context, size_t begin, size_t end)
{
    struct chain *chain = context;
    const struct tg_tiles *t = chain->tiles;
    char *registers = tg_scratch_of(TG_OF_KERNEL, (t->registers + 1) * t->tile * t->itemsize);
    if (registers == NULL) {
        tg_note(&chain->status, TG_ENOMEM);
        return;
    }
    for (; begin < end; begin += t->tile) {
        size_t n = tg_min(t->tile, end - begin);
        for (size_t i = 0; i < t->count; i++) {
            union tg_word words[TG_TILE_WORDS];
            tile_words(words, t, i, begin, n, registers);
            tg_note(&chain->status, t->calls[i].kernel(words));
        }
    }
}

int words_tiles(const union tg_word *words)
{
    struct chain chain = {words[0].p, TG_OK};
    tg_parallel_for(words[1].n, TG_GRAIN / 4, run_tiles, &chain);
    return chain.status;
}
