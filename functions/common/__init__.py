"""What more than one capability stands on: small modules of plain functions and dataclasses."""
