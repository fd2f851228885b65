"""Shapes onto shapes: charts, radial bases, elasticity, optimal mappings, transfer between meshes."""
