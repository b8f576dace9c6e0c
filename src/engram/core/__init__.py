"""The words everything else uses: tasks and steps, the run directory, time, events, errors.

Nothing here imports another part of engram, and nothing here imports torch.
"""
