// Command linearizable judges a history of registers with Porcupine, key by key.
//
// It reads JSON lines on stdin, one operation each:
//
//	process   who called; one call at a time
//	op        put, get, delete, create or update
//	key       each key is a register of its own, absent at first
//	value     what put, create or update write: unique within the key; what get read
//	present   of get: whether there was a value
//	expected  of update: the revision asked for; it must be the result of some operation of this history
//	result    ok; wrong (create or update did not happen: other revision); indefinite (it may have
//	          happened, at any time after the call)
//	revision  what was written or read, "" where unknown: one value must keep one revision
//	call_ns, return_ns  return_ns is left out when the result is indefinite
//
// It prints one JSON object: keys and operations counted, broken and undecided as lists of {key, why}.
// With -visualize DIR each broken key gets an HTML page there. Exit status: 0 all linearizable, 1 not, 2 a
// history it can't judge.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

type line struct {
	Process  string `json:"process"`
	Op       string `json:"op"`
	Key      string `json:"key"`
	Value    string `json:"value"`
	Present  bool   `json:"present"`
	Expected string `json:"expected"`
	Result   string `json:"result"`
	Revision string `json:"revision"`
	CallNs   int64  `json:"call_ns"`
	ReturnNs int64  `json:"return_ns"`

	expectedValue string
}

type finding struct {
	Key  string `json:"key"`
	Why  string `json:"why"`
	Page string `json:"page,omitempty"`
}

type report struct {
	Keys       int       `json:"keys"`
	Operations int       `json:"operations"`
	Broken     []finding `json:"broken"`
	Undecided  []finding `json:"undecided"`
}

// The state of a register is its value, "" when absent.
func step(state, input, output interface{}) (bool, interface{}) {
	value, call := state.(string), input.(line)
	happens := true
	switch call.Op {
	case "get":
		if call.Present {
			return value == call.Value, state
		}
		return value == "", state
	case "create":
		happens = value == ""
	case "update":
		happens = value != "" && value == call.expectedValue
	}
	if call.Result == "wrong" {
		return !happens, state
	}
	if !happens {
		return call.Result == "indefinite", state
	}
	if call.Op == "delete" {
		return true, ""
	}
	return true, call.Value
}

func describe(input, output interface{}) string {
	call := input.(line)
	text := call.Op
	if call.Op == "update" {
		text += fmt.Sprintf("(%s → %s)", call.expectedValue, call.Value)
	} else if call.Value != "" {
		text += "(" + call.Value + ")"
	}
	if call.Op == "get" && !call.Present {
		text += "(absent)"
	}
	return text + " " + call.Result
}

var model = porcupine.Model{
	Init:              func() interface{} { return "" },
	Step:              step,
	Hash:              func(state interface{}) uint64 { h := fnv.New64a(); h.Write([]byte(state.(string))); return h.Sum64() },
	DescribeOperation: describe,
	DescribeState:     func(state interface{}) string { return state.(string) },
}

func main() {
	timeout := flag.Duration("timeout", 60*time.Second, "given to each key before it is undecided")
	folder := flag.String("visualize", "", "write a page for each broken key into this folder")
	flag.Parse()
	histories, count, err := read()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	found := judge(histories, *timeout, *folder)
	found.Keys, found.Operations = len(histories), count
	json.NewEncoder(os.Stdout).Encode(found)
	if len(found.Broken) > 0 {
		os.Exit(1)
	}
	if len(found.Undecided) > 0 {
		os.Exit(2)
	}
}

func read() (map[string][]line, int, error) {
	histories, count := map[string][]line{}, 0
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(make([]byte, 1<<20), 1<<24)
	for scanner.Scan() {
		count++
		var one line
		if err := json.Unmarshal(scanner.Bytes(), &one); err != nil {
			return nil, 0, fmt.Errorf("line %d is no operation: %v", count, err)
		}
		if err := check(one); err != nil {
			return nil, 0, fmt.Errorf("line %d: %v", count, err)
		}
		histories[one.Key] = append(histories[one.Key], one)
	}
	return histories, count, scanner.Err()
}

func check(one line) error {
	switch one.Op {
	case "put", "create", "update":
		if one.Value == "" {
			return fmt.Errorf("%s needs a value that is not empty", one.Op)
		}
	case "get", "delete":
	default:
		return fmt.Errorf("expected put, get, delete, create or update, found %q", one.Op)
	}
	switch one.Result {
	case "ok":
	case "wrong":
		if one.Op != "create" && one.Op != "update" {
			return fmt.Errorf("%s can't be wrong", one.Op)
		}
	case "indefinite":
		return nil
	default:
		return fmt.Errorf("expected ok, wrong or indefinite, found %q", one.Result)
	}
	if one.ReturnNs < one.CallNs {
		return fmt.Errorf("it returned at %d, before its call at %d", one.ReturnNs, one.CallNs)
	}
	return nil
}

func judge(histories map[string][]line, timeout time.Duration, folder string) report {
	found := report{Broken: []finding{}, Undecided: []finding{}}
	keys := make(chan string)
	var lock sync.Mutex
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for key := range keys {
				result, one := judgeKey(key, histories[key], timeout, folder)
				lock.Lock()
				switch result {
				case porcupine.Illegal:
					found.Broken = append(found.Broken, one)
				case porcupine.Unknown:
					found.Undecided = append(found.Undecided, one)
				}
				lock.Unlock()
			}
		}()
	}
	for key := range histories {
		keys <- key
	}
	close(keys)
	workers.Wait()
	for _, list := range [][]finding{found.Broken, found.Undecided} {
		sort.Slice(list, func(i, j int) bool { return list[i].Key < list[j].Key })
	}
	return found
}

func judgeKey(key string, history []line, timeout time.Duration, folder string) (porcupine.CheckResult, finding) {
	if why := resolve(history); why != "" {
		return porcupine.Illegal, finding{Key: key, Why: why}
	}
	operations := operationsOf(history)
	switch porcupine.CheckOperationsTimeout(model, operations, timeout) {
	case porcupine.Ok:
		return porcupine.Ok, finding{}
	case porcupine.Unknown:
		why := fmt.Sprintf("%d operations could not be judged within %v", len(history), timeout)
		return porcupine.Unknown, finding{Key: key, Why: why}
	}
	one := finding{Key: key, Why: fmt.Sprintf("no order of its %d operations explains their results", len(history))}
	if folder != "" {
		_, info := porcupine.CheckOperationsVerbose(model, operations, timeout)
		digest := fnv.New64a()
		digest.Write([]byte(key))
		one.Page = filepath.Join(folder, fmt.Sprintf("%016x.html", digest.Sum64()))
		if err := porcupine.VisualizePath(model, info, one.Page); err != nil {
			one.Page = ""
		}
	}
	return porcupine.Illegal, one
}

// resolve finds the value each expected revision stands for; it says what is wrong with revisions, if anything.
func resolve(history []line) string {
	values, revisions := map[string]string{}, map[string]string{}
	for _, one := range history {
		if one.Revision == "" || one.Value == "" {
			continue
		}
		if value, known := values[one.Revision]; known && value != one.Value {
			return fmt.Sprintf("revision %s stands for both %s and %s", one.Revision, value, one.Value)
		}
		if revision, known := revisions[one.Value]; known && revision != one.Revision {
			return fmt.Sprintf("value %s has both revisions %s and %s", one.Value, revision, one.Revision)
		}
		values[one.Revision], revisions[one.Value] = one.Value, one.Revision
	}
	for at := range history {
		one := &history[at]
		if one.Op != "update" {
			continue
		}
		value, known := values[one.Expected]
		if !known {
			return fmt.Sprintf("an update expects revision %q, which no operation wrote or read", one.Expected)
		}
		one.expectedValue = value
	}
	return ""
}

func operationsOf(history []line) []porcupine.Operation {
	processes, rows := map[string]int{}, 0
	operations := make([]porcupine.Operation, 0, len(history))
	for _, one := range history {
		number, known := processes[one.Process]
		end := one.ReturnNs
		if one.Result == "indefinite" {
			if one.Op == "get" {
				continue
			}
			known, end = false, math.MaxInt64 // on a row of its own, since its process goes on
		}
		if !known {
			number = rows
			rows++
		}
		if one.Result != "indefinite" {
			processes[one.Process] = number
		}
		operations = append(operations, porcupine.Operation{
			ClientId: number, Input: one, Call: one.CallNs, Output: one.Result, Return: end,
		})
	}
	return operations
}
