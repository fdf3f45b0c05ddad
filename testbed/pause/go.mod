module flexvolume.io/testbed/pause

go 1.26.0
