import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { accountNamedBy, isOfThisBank } from '../accounts/account-named-by.ts'
import type { AuthorisedConsent } from '../consents/lock-authorised-consent.ts'
import { type AccountId, type HoldId, type LimitId, newHoldId } from '../ids.ts'
import { holdOutcome, placingHold } from '../ledger/place-hold.ts'
import { type Currency, isCurrency } from '../money.ts'
import { refuse } from '../refusal.ts'
import type { PaymentChannel, RejectionReason } from './payment.ts'
import { reasonOfDebtor } from './reason-of-account.ts'

export type CreditorAccount = {
  readonly id: AccountId
  /** False for our settlement account. */
  readonly isOurs: boolean
}

/** What was decided on a payment: its funds are held, or why not. */
export type Decision = { readonly holdId: HoldId } | { readonly rejected: RejectionReason; readonly limitId?: LimitId | undefined }

const creditorRow = z.object({
  account_id: z.custom<AccountId>(),
  currency: z.custom<Currency>(isCurrency),
  status: z.enum(['open', 'frozen', 'closed']),
  is_ours: z.boolean(),
  /** The creditor is said to bank here, and does not: the account is then our settlement account, which must not be paid for them. */
  is_missing: z.boolean(),
  /** The limit that refuses it, and whether it is one of a single payment. */
  limit_id: z.custom<LimitId>().nullable(),
  of_one_payment: z.boolean().nullable(),
  /** Null where the creditor cannot be paid, or not so much. */
  hold: holdOutcome.nullable(),
})

/**
 * Finds where the money of a payment goes, and, if it can go there and no limit refuses it, holds it: in one statement. It goes to the creditor's
 * account here, or, when they bank elsewhere, to our settlement account of the currency (the one that has no number), from
 * which it leaves for their bank.
 *
 * @throws {Refusal} `account_not_usable` when the creditor is the debtor.
 */
export async function holdFunds(
  tx: Transaction,
  consent: AuthorisedConsent,
  { channel, now, expiresAt }: { readonly channel: PaymentChannel; readonly now: Date; readonly expiresAt: Date },
): Promise<{ readonly creditor: CreditorAccount; readonly decision: Decision }> {
  const { debtorAccountId, amount } = consent
  const holdId = newHoldId(now)
  const row = await tx.one(sql.type(creditorRow)`
    select creditor.*, limited.limit_id, (select period = 'payment' from payments.spending_limit l where l.limit_id = limited.limit_id) as of_one_payment,
      case when can_be_paid and limited.limit_id is null
        then ${placingHold(holdId, { accountId: debtorAccountId, amount, expiresAt, now })} end as hold
    from (${creditorOf(consent)}) creditor
      cross join lateral (
        select not is_missing and status <> 'closed' and currency = ${amount.currency} and account_id <> ${debtorAccountId} as can_be_paid) asked
      cross join lateral (
        select case when can_be_paid
          then (payments.limits_in_the_way(${sql.timestamp(now)}, array[${consent.id}], array[${channel}]))[1] end as limit_id) limited`)
  if (row.account_id === debtorAccountId) refuse('account_not_usable', 'a payment is between two accounts')
  const rejected = whyNotPaid(row, amount.currency) ?? (row.hold === 'held' ? undefined : await whyNotHeld(tx, row, debtorAccountId))
  return {
    creditor: { id: row.account_id, isOurs: row.is_ours },
    decision: rejected === undefined ? { holdId } : { rejected, limitId: row.limit_id ?? undefined },
  }
}

function creditorOf({ creditor, creditorAccountId, amount }: AuthorisedConsent) {
  const isSettlement = sql.fragment`kind = 'settlement' and account_number is null and iban is null`
  const isNamed = creditorAccountId === undefined ? accountNamedBy(creditor) : sql.fragment`account_id = ${creditorAccountId}`
  return sql.fragment`
    select account_id, currency, status, kind = 'customer' or account_number is not null as is_ours,
      ${isSettlement} and ${isOfThisBank(creditor)} as is_missing
    from ledger.account where ${isNamed} or (${isSettlement} and currency = ${amount.currency})
    order by (${isNamed}) is not true, account_id limit 1`
}

function whyNotPaid(creditor: z.infer<typeof creditorRow>, currency: Currency): RejectionReason | undefined {
  if (creditor.is_missing) return 'AC01'
  if (creditor.status === 'closed') return 'AC07'
  return creditor.currency === currency ? undefined : 'AC11'
}

async function whyNotHeld(tx: Transaction, row: z.infer<typeof creditorRow>, debtorId: AccountId): Promise<RejectionReason> {
  if (row.limit_id !== null) return row.of_one_payment === true ? 'AM02' : 'AM14'
  if (row.hold === null) throw new Error(`no hold was tried on ${debtorId}, though the creditor can be paid`)
  return row.hold === 'insufficient_funds' ? 'AM04' : await reasonOfDebtor(tx, debtorId)
}
