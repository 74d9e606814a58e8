/* A pool that hands out loop indices one by one, so uneven rows balance themselves. */
#include <oberta/memory.h>
#include <oberta/parallel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct worker {
    ob_parallel *parallel;
    size_t number;
    pthread_t thread;
} worker;

struct ob_parallel {
    size_t thread_count, started;
    worker *workers; /* (thread_count - 1) */
    pthread_mutex_t mutex;
    pthread_cond_t begin, end;
    /* Guarded by mutex: */
    unsigned long round;
    size_t working;
    bool stop;
    /* The loop of this round; written before the round begins: */
    ob_parallel_body body;
    void *user;
    size_t count;
    atomic_size_t next;
};

static void work(ob_parallel *p, size_t thread)
{
    for (;;) {
        size_t index = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (index >= p->count)
            return;
        p->body(p->user, thread, index);
    }
}

static void *worker_main(void *argument)
{
    worker *self = argument;
    ob_parallel *p = self->parallel;
    unsigned long seen = 0;
    pthread_mutex_lock(&p->mutex);
    for (;;) {
        while (!p->stop && p->round == seen)
            pthread_cond_wait(&p->begin, &p->mutex);
        if (p->stop)
            break;
        seen = p->round;
        pthread_mutex_unlock(&p->mutex);
        work(p, self->number);
        pthread_mutex_lock(&p->mutex);
        if (--p->working == 0)
            pthread_cond_signal(&p->end);
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

ob_status ob_parallel_create(size_t thread_count, ob_parallel **out, ob_error *err)
{
    ob_parallel *p = ob_calloc(1, sizeof *p);
    if (p == NULL)
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu threads", thread_count);
    p->thread_count = thread_count;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->begin, NULL);
    pthread_cond_init(&p->end, NULL);
    p->workers = ob_calloc(thread_count, sizeof *p->workers);
    if (p->workers == NULL) {
        ob_parallel_destroy(p);
        return ob_error_set(err, OB_ERR_OUT_OF_MEMORY, "no memory for %zu threads", thread_count);
    }
    for (; p->started + 1 < thread_count; p->started++) {
        worker *w = &p->workers[p->started];
        *w = (worker){.parallel = p, .number = p->started + 1};
        int code = pthread_create(&w->thread, NULL, worker_main, w);
        if (code != 0) {
            ob_error_set_errno(err, OB_ERR_OUT_OF_MEMORY, code, "cannot start thread %zu", w->number);
            ob_parallel_destroy(p);
            return OB_ERR_OUT_OF_MEMORY;
        }
    }
    *out = p;
    return OB_OK;
}

void ob_parallel_destroy(ob_parallel *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->mutex);
    p->stop = true;
    pthread_cond_broadcast(&p->begin);
    pthread_mutex_unlock(&p->mutex);
    for (size_t i = 0; i < p->started; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->begin);
    pthread_cond_destroy(&p->end);
    pthread_mutex_destroy(&p->mutex);
    ob_free(p->workers);
    ob_free(p);
}

size_t ob_parallel_threads(const ob_parallel *p)
{
    return p != NULL ? p->thread_count : 1;
}

void ob_parallel_for(ob_parallel *p, size_t count, ob_parallel_body body, void *user)
{
    if (p == NULL) {
        for (size_t i = 0; i < count; i++)
            body(user, 0, i);
        return;
    }
    pthread_mutex_lock(&p->mutex);
    p->body = body;
    p->user = user;
    p->count = count;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    p->working = p->started;
    p->round++;
    pthread_cond_broadcast(&p->begin);
    pthread_mutex_unlock(&p->mutex);
    work(p, 0);
    pthread_mutex_lock(&p->mutex);
    while (p->working > 0)
        pthread_cond_wait(&p->end, &p->mutex);
    pthread_mutex_unlock(&p->mutex);
}
