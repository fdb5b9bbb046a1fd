"""Queues of jobs that outlive the processes which use them: what a job is, which states it has, where it is stored."""
