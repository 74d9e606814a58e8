/* The tasks of this version. */
#include "task.h"

const ob__task *ob__task_find(ob_task task)
{
    switch (task) {
    case OB_TASK_FILL_MASK:
        return &ob__task_fill_mask;
    case OB_TASK_FEATURE_EXTRACTION:
        return &ob__task_feature_extraction;
    case OB_TASK_FORWARD:
        return &ob__task_forward;
    default:
        return NULL;
    }
}
