package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// test makes one real dispatch.
func (a *app) test() *cobra.Command {
	var f agentFlags
	var to string
	var values map[string]string
	cmd := &cobra.Command{
		Use:   "test --to NUMBER --channel voice|whatsapp|ID",
		Short: "Contact one number, such as your own, before a launch",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := campaign.NewSettings(f.Given)
			if err != nil {
				return cli.Usage(err)
			}
			numbers, err := contacts.NewPhoneParser(s.Region)
			if err != nil {
				return cli.Usagef("--region: %w", err)
			}
			phone, why := numbers.Parse(to)
			if why != "" {
				return cli.Usagef("--to: %s", why)
			}
			if err := a.mayTest(cmd.Context(), phone); err != nil {
				return err
			}
			return a.try(cmd.Context(), s.Agent, f.rate, phone, velents.Dispatch{ChannelID: s.ChannelID, Phone: phone.E164(), Values: values})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&to, "to", "", "`NUMBER` to contact")
	flags.StringToStringVar(&values, "value", nil, "`KEY=VALUE` of the agent; may be repeated")
	a.addSettings(&f, flags, campaign.LaunchSettings("agent", "channel", "region"))
	for _, required := range []string{"to", "channel"} {
		_ = cmd.MarkFlagRequired(required) // fails on unknown flags only
	}
	return cmd
}

// mayTest refuses a number on the do-not-contact list. Without Redis there is no list.
func (a *app) mayTest(ctx context.Context, phone campaign.Phone) error {
	st, noRedis := a.store(ctx)
	if noRedis != nil {
		return nil
	}
	listed, err := st.FindSuppressed(ctx, []campaign.Phone{phone})
	if err == nil && listed[0] {
		err = fmt.Errorf("%s is on the do-not-contact list: campaign suppress remove takes it off", phone)
	}
	return err
}

func (a *app) try(ctx context.Context, agent string, rate ratelimit.Rate, phone campaign.Phone, d velents.Dispatch) error {
	l, err := a.launcher(ctx, agent, rate)
	if err != nil {
		return err
	}
	answer, err := l.Try(ctx, d)
	var refused *velents.Error
	var unanswered *velents.Unanswered
	switch {
	case errors.As(err, &refused):
		return a.explain(fmt.Errorf("the platform refused %s: %w", phone, refused), agent)
	case errors.As(err, &unanswered) && unanswered.Sent:
		return a.explain(fmt.Errorf("%s may have been contacted, or not: %w", phone, unanswered), agent)
	case err != nil:
		return a.explain(err, agent)
	}
	result := struct {
		To             string `json:"to"` // masked
		Accepted       bool   `json:"accepted"`
		Status         int    `json:"status"`
		ConversationID string `json:"conversation_id,omitempty"`
	}{phone.String(), true, answer.Status, answer.ID}
	text := fmt.Sprintf("the platform accepted %s", phone)
	if answer.ID != "" {
		text += ", conversation " + answer.ID
	}
	return a.print(result, text+"\n")
}

// template prints the agent's own template of a contact file.
func (a *app) template() *cobra.Command {
	var f agentFlags
	cmd := &cobra.Command{
		Use:   "template",
		Short: "Print the header of a contact file for the agent",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := campaign.NewSettings(f.Given)
			if err != nil {
				return cli.Usage(err)
			}
			l, err := a.launcher(cmd.Context(), s.Agent, f.rate)
			if err != nil {
				return err
			}
			csv, err := l.Template(cmd.Context())
			if err != nil {
				return a.explain(err, s.Agent)
			}
			return a.print(struct {
				CSV string `json:"csv"`
			}{string(csv)}, string(csv))
		},
	}
	a.addSettings(&f, cmd.Flags(), campaign.LaunchSettings("agent"))
	return cmd
}
