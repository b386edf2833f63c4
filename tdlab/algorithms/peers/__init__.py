"""Methods of other libraries."""
