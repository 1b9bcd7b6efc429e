"""What more than one capability stands on: small modules of plain functions and dataclasses."""

import warnings

# The zips leave out what requests guesses encodings with; it reads UTF-8 without.
warnings.filterwarnings("ignore", message="Unable to find acceptable character detection")
