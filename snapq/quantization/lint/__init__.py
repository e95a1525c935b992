"""The provider's rules for Q/DQ models, checked."""
