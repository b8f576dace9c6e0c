"""Contract checks, for engram's own parts and for those of other packages.

    from engram.testing import check_feature, check_model, check_task

    def test_my_model():
        check_model(MyNet)

Each raises AssertionError that says which promise of the contract does not hold.
"""

from engram.testing.features import check_feature, sample_columns
from engram.testing.models import check_model
from engram.testing.tasks import check_task

__all__ = ["check_feature", "check_model", "check_task", "sample_columns"]
