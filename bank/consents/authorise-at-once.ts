import { type SqlFragment, sql, type Transaction } from '@bankside/service-kit/postgres'
import { listCustomerAccounts } from '../accounts/list-customer-accounts.ts'
import { carryOutIf } from '../events/carry-out.ts'
import { refusalOf } from '../refusal.ts'
import { type AuthorisationOrder, chosenAmong, decisionOn } from './authorise-consent.ts'
import { toldChange } from './change-status.ts'
import { mayBeAuthorised } from './find-intent.ts'
import { readConsent } from './get-consent.ts'
import { eligibleAmong } from './list-eligible-accounts.ts'

type Order = Omit<AuthorisationOrder, 'challengeId' | 'managed' | 'confirmedLimits'> & {
  /** What must be so besides, each of which returns its row (see {@link carryOutIf}). */
  readonly conditions: readonly SqlFragment[]
}

/**
 * {@link authoriseConsent} in one statement, where nothing stands in the way: the first yes to an account access that waits. Its terms
 * never change, so that it still waits when it is written is all that a lock would have told.
 *
 * @returns false when nothing was done, whatever the reason: then the longer way does it, or says why not.
 */
export async function authoriseAtOnce(tx: Transaction, { conditions, ...order }: Order): Promise<boolean> {
  const [consent, accounts] = await Promise.all([readConsent(tx, order.consentId), listCustomerAccounts(tx, order.customerId)])
  if (consent?.kind !== 'account_access' || consent.clientId !== order.clientId) return false
  if (consent.status !== 'AWAU' || consent.customerId !== undefined || !mayBeAuthorised(consent, order.now)) return false
  const choices = await eligibleAmong(tx, accounts, { consent, customerId: order.customerId })
  const accountIds = chosenOrNone(choices, order.accountIds)
  if (accountIds === undefined) return false
  const { authorised, telling, update, statements } = await decisionOn(consent, order, accountIds)
  const stillWaits = sql.fragment`${update} and ${waits} and deleted_at is null and customer_id is null returning true`
  return carryOutIf(tx, [...conditions, stillWaits], toldChange(authorised, telling, statements))
}

/** Put so that the index of all consents that wait is no way to the one: while they are few, PostgreSQL takes one index for as good as the other. */
const waits = sql.fragment`coalesce(status, '') = 'AWAU'`

function chosenOrNone(choices: Awaited<ReturnType<typeof eligibleAmong>>, asked: readonly string[]) {
  try {
    const eligible = choices.filter(({ ineligible }) => ineligible === undefined)
    return chosenAmong(eligible, choices, asked)
  } catch (error) {
    if (refusalOf(error) === undefined) throw error
    return undefined // The longer way refuses it by name.
  }
}
