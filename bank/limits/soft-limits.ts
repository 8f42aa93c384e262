import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { PaymentConsent } from '../consents/consent.ts'
import type { AccountId, CustomerId } from '../ids.ts'
import { type Limit, limitColumns, limitRow, toLimit } from './limit.ts'

export type SoftLimitsAsked = { readonly consent: PaymentConsent; readonly customerId: CustomerId; readonly now: Date }

/**
 * The customer's own soft limits that a payment would go beyond now, by the account that it would come from: what they are
 * shown, and must confirm with the payment. Others may be in the way by the time it is made.
 */
export async function softLimitsBeyond(
  tx: Transaction,
  { consent, customerId, now }: SoftLimitsAsked,
): Promise<ReadonlyMap<AccountId, readonly Limit[]>> {
  const channel = consent.kind === 'transfer' ? 'bank_api' : 'uk_v4'
  const rows = await tx.any(sql.type(limitRow.extend({ account_id: z.custom<AccountId>() }))`
    select beyond.account_id, ${limitColumns}
    from payments.soft_limits_beyond(${sql.timestamp(now)}, ${consent.id}, ${customerId}, ${channel}) beyond
      join payments.spending_limit l using (limit_id)
    order by l.scope, l.period, l.limit_id`)
  const limits = Map.groupBy(rows, ({ account_id }) => account_id)
  return new Map([...limits].map(([accountId, of]) => [accountId, of.map(toLimit)]))
}
