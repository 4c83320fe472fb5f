#!/bin/bash
# Lip-syncs a list on a running Ray cluster. After a crash, submit it again: the batch resumes.
# All nodes need diff2lip-diffusers[ray,stores], as in cluster.yaml, and the right to read and write the bucket.
ray job submit --address "${DASHBOARD:-http://127.0.0.1:8265}" -- \
    diff2lip batch s3://media/pairs.parquet --root s3://media/clips --output-dir s3://out/run1 \
    --model your-name/diff2lip --engine ray --min-workers 1 --max-workers 64
