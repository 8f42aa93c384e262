import { type Database, reading, sql, z } from '@bankside/service-kit/postgres'
import type { PaymentId } from '../ids.ts'
import type { PaymentCheck, Reason } from './payment-check.ts'

const assessedRow = z.object({
  payment_id: z.custom<PaymentId>(),
  verdict: z.enum(['pass', 'review', 'refuse']),
  score: z.number(),
  reasons: z.custom<readonly Reason[]>(Array.isArray),
})

/** Scores amount, velocity, new payee, hour and device by the rules that stand in the database now, and as they are scored where nothing waits. */
export const builtInCheck =
  (database: Database): PaymentCheck =>
  async (payments) => {
    const ids = sql.array(
      payments.map(({ id }) => id),
      'text',
    )
    const rows = await reading(
      database.any(sql.type(assessedRow)`
        with asked as materialized (
          select (row_number() over ())::integer as position, p.*, c.authorised_device, money.minor_digits
          from payments.payment p join consents.consent c using (consent_id) join ledger.currency money on money.currency = p.currency
          where p.payment_id = any (${ids})
        )
        select asked.payment_id, said.verdict, said.score, said.reasons
        from payments.assess(array(
          select row(asked.position, asked.customer_id, asked.debtor_account_id, asked.amount_minor, asked.minor_digits,
            asked.creditor_scheme_name || ' ' || asked.creditor_identification, asked.authorised_device, asked.created_at, true)::payments.assessable
          from asked)) said join asked using (position)`),
    )
    return rows.map(({ payment_id: paymentId, ...said }) => ({ paymentId, ...said }))
  }
