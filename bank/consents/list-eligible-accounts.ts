import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type AccountToShow, listCustomerAccounts } from '../accounts/list-customer-accounts.ts'
import type { CustomerId } from '../ids.ts'
import type { Consent, PaymentConsent } from './consent.ts'

export type AccountToChoose = AccountToShow & {
  /** Why it cannot be chosen; undefined when it can. */
  readonly ineligible: 'not_open' | 'other_currency' | 'is_the_payee' | undefined
  /** Chosen at the last authorisation (CON-07). Never so at the first one (CX-14). */
  readonly selected: boolean
  /** Less is available than the payment needs. It may be chosen all the same (CX-PIS-03). */
  readonly insufficient: boolean
}

/**
 * What a customer may choose from. Where the third party named the account to pay from, that one alone, and nothing when it
 * is not the customer's (PIS-07): then the consent is to be rejected with AC01.
 */
export async function listEligibleAccounts(
  tx: Transaction,
  { consent, customerId }: { readonly consent: Consent; readonly customerId: CustomerId },
): Promise<readonly AccountToChoose[]> {
  return eligibleAmong(tx, await listCustomerAccounts(tx, customerId), { consent, customerId })
}

/** The same, where the customer's accounts have been read in this transaction. */
export async function eligibleAmong(
  tx: Transaction,
  accounts: readonly AccountToShow[],
  { consent, customerId }: { readonly consent: Consent; readonly customerId: CustomerId },
): Promise<readonly AccountToChoose[]> {
  if (consent.kind === 'account_access')
    return accounts.map((account) => ({
      ...account,
      ineligible: account.status === 'open' ? undefined : 'not_open',
      selected: account.status === 'open' && consent.accountIds.includes(account.id),
      insufficient: false,
    }))

  const named = consent.debtor && (await accountNamed(tx, consent.debtor, customerId))
  return accounts
    .filter(({ id }) => consent.debtor === undefined || id === named)
    .map((account) => ({
      ...account,
      ineligible: whyNotFrom(account, consent),
      selected: false,
      insufficient: account.available.minor < consent.amount.minor,
    }))
}

function whyNotFrom(account: AccountToShow, { amount, creditorAccountId }: PaymentConsent): AccountToChoose['ineligible'] {
  if (account.status !== 'open') return 'not_open'
  if (account.currency !== amount.currency) return 'other_currency'
  return account.id === creditorAccountId ? 'is_the_payee' : undefined
}

const namedRow = z.object({ account_id: z.string().nullable() })

async function accountNamed(
  tx: Transaction,
  debtor: NonNullable<PaymentConsent['debtor']>,
  customerId: CustomerId,
): Promise<string | null> {
  const { account_id } = await tx.one(sql.type(namedRow)`
    select consents.account_of_customer(${customerId}, ${debtor.schemeName}, ${debtor.identification}) as account_id`)
  return account_id
}
