/* A job file of any bytes gives a job or a message. */
#include <oberta/job.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ob_error err;
    ob_job job;
    ob_error_clear(&err);
    ob_job_default(&job);
    if (ob_job_parse((const char *)data, size, "job.yaml", "", NULL, 0, &job, &err) != OB_OK && err.text[0] == '\0')
        __builtin_trap(); /* a refusal without a reason */
    ob_job_release(&job);
    return 0;
}
