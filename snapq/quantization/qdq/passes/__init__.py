"""Steps of a plan, a file each; `qdq.order` lists them and says why each stands where it does."""
