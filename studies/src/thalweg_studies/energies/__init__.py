"""E2: four energies under planar, radial and NICE flows (Rezende & Mohamed 2015, Figure 3)."""
