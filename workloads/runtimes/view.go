// What Go thinks it may use: a JSON object for every line of standard input, or one with `once`.
//
// Both numbers are of the moment the process started: Go 1.19 does not look again.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
)

func view() {
	fmt.Printf("{\"gomaxprocs\": %d, \"num_cpu\": %d}\n", runtime.GOMAXPROCS(0), runtime.NumCPU())
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "once" {
		view()
		return
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		view()
	}
}
