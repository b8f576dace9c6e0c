"""From a run to answers: raw item in, decoded answer out."""
