"""Runs on an instance: counts in a bucket, and goes on from where the last instance left off.

python3 counting_job.py BUCKET STEPS
"""

import sys
import time

import boto3


def main() -> None:
    bucket, steps = sys.argv[1], int(sys.argv[2])
    s3 = boto3.client("s3", region_name="us-east-1")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="steps/")
    for step in range(listed["KeyCount"], steps):
        # The time of writing, as the bucket itself keeps whole seconds only.
        s3.put_object(Bucket=bucket, Key=f"steps/{step:03}", Body=str(time.time()).encode())
        time.sleep(1)
    s3.put_object(Bucket=bucket, Key="ended", Body=str(time.time()).encode())


if __name__ == "__main__":
    main()
