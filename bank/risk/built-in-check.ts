import { type Database, reading, sql, z } from '@bankside/service-kit/postgres'
import type { PaymentId } from '../ids.ts'
import type { Assessment, PaymentCheck } from './payment-check.ts'
import { type Fact, type Rule, score, type Threshold } from './score.ts'

/** Scores amount, velocity, new payee, hour and device by the rules that stand in the database now. */
export const builtInCheck =
  (database: Database): PaymentCheck =>
  async (payments) => {
    const ids = payments.map(({ id }) => id)
    const [facts, rules, thresholds] = await reading(Promise.all([readFacts(database, ids), readRules(database), readThresholds(database)]))
    return facts.map((row): Assessment => ({ paymentId: row.payment_id, ...score(row, rules, thresholds) }))
  }

const factRow = z.object({
  payment_id: z.custom<PaymentId>(),
  amount: z.bigint(),
  paid_in_a_day: z.bigint(),
  payments_in_an_hour: z.bigint(),
  new_payee: z.bigint(),
  new_device: z.bigint(),
  hour: z.bigint(),
})

/** Velocity as it is counted for limits: by the hour, what was rejected left out, the payment itself among it. */
function readFacts(database: Database, paymentIds: readonly PaymentId[]) {
  return database.any(sql.type(factRow)`
    select p.payment_id, div(p.amount_minor, unit) as amount, div(lately.spent_minor, unit) as paid_in_a_day,
      lately.payments as payments_in_an_hour,
      (not exists (
        select from payments.known_to_customer k where k.customer_id = p.customer_id and k.kind = 'payee'
          and k.fingerprint = p.creditor_scheme_name || ' ' || p.creditor_identification))::integer::bigint as new_payee,
      (not exists (
        select from payments.known_to_customer k where k.customer_id = p.customer_id and k.kind = 'device'
          and k.fingerprint = c.authorised_device))::integer::bigint as new_device,
      extract(hour from p.created_at at time zone 'Europe/London')::bigint as hour
    from payments.payment p join consents.consent c using (consent_id)
      join ledger.currency money on money.currency = p.currency
      cross join lateral (select ('1e' || money.minor_digits)::numeric as unit) units
      cross join lateral (
        select coalesce(sum(s.spent_minor), 0) as spent_minor,
          coalesce(sum(s.payment_count) filter (where s.hour >= date_trunc('hour', p.created_at, 'UTC') - interval '1 hour'), 0) as payments
        from payments.spent s where s.account_id = p.debtor_account_id and s.hour > p.created_at - interval '24 hours') lately
    where p.payment_id = any (${sql.array([...paymentIds], 'text')})`)
}

const ruleRow = z.object({
  rule_id: z.string(),
  fact: z.custom<Fact>(),
  at_least: z.bigint().nullable(),
  below: z.bigint().nullable(),
  points: z.number(),
  words: z.string(),
})

async function readRules(database: Database): Promise<readonly Rule[]> {
  const rows = await database.any(sql.type(ruleRow)`
    select rule_id, fact, at_least, below, points, words from payments.risk_rule order by abs(points) desc, rule_id`)
  return rows.map(({ rule_id: id, fact, at_least: atLeast, below, points, words }) => ({ id, fact, atLeast, below, points, words }))
}

const thresholdRow = z.object({ verdict: z.enum(['review', 'refuse']), at_least: z.number() })

async function readThresholds(database: Database): Promise<readonly Threshold[]> {
  const rows = await database.any(sql.type(thresholdRow)`select verdict, at_least from payments.risk_threshold`)
  return rows.map(({ verdict, at_least: atLeast }) => ({ verdict, atLeast }))
}
