// Package reports has the handler of the job "report".
//
// In place of example.com/bananas, write the path of the Go project. Its
// documentation says how a worker registers a handler.
package reports

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"example.com/bananas/job"
)

// Order is the payload that the Python service submits.
type Order struct {
	Month string `json:"month"`
}

// Report runs for each job named "report".
//
// A plain handler like this one stores no data: the service answers
// "report": null. An error fails the attempt, and the worker tries again.
// It may run twice for one job, so it must be idempotent: here, it writes
// the same file again.
func Report(ctx context.Context, j *job.Job) error {
	var order Order
	if err := j.UnmarshalPayload(&order); err != nil {
		return err
	}
	if _, err := time.Parse("2006-01", order.Month); err != nil {
		return fmt.Errorf("there is no such month: %q", order.Month)
	}
	name := filepath.Join(os.TempDir(), "report-"+order.Month+".txt")
	return os.WriteFile(name, []byte("report of "+order.Month+"\n"), 0o644)
}
