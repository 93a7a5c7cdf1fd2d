// Command faults runs the fault matrix: a whole lab under load, the shipped worker, and at every
// point of a Move and of what goes on beside it every fault that the world has for it. The points
// are derived from a run without faults. After each cell the judge reads databases, route and
// bucket.
//
//	go run ./test/faults                    the matrix; goes on where a run was interrupted
//	go run ./test/faults -run 'move/aws/*'  some of its cells, anew
//	go run ./test/faults -list              the names of all cells, and why some are left out
package main
