"""The stages of the pipeline, one file a stage."""
