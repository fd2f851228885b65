"""Fields on meshes that differ."""
