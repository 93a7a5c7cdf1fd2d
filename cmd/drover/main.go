// Command drover moves customers to AWS in batches, and back: it checks and submits plans, shows
// where everything stands, takes operators' wishes, and runs the workers.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
