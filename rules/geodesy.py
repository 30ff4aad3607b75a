"""shim"""
import numpy as np
import shapely
def distance_to_shape_m(body, shape, lon, lat):
    return shapely.distance(shape, shapely.points(lon, lat)) * 111_195.0
