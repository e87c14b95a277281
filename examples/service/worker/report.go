// Package reports has the handler of the job "report".
//
// A sketch, which nothing here compiles: the signature, the import of
// package job, and how a worker registers the handler are in the
// documentation of the Go project.
package reports

import (
	"context"
	"fmt"
	"strings"
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
	if !strings.HasPrefix(order.Month, "20") {
		return fmt.Errorf("there is no such month: %s", order.Month)
	}
	return writeReport(ctx, order.Month)
}
