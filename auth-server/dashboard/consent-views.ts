import { type AccountToShow, listCustomerAccounts } from '@bankside/bank/accounts/list-customer-accounts'
import { withdrawnReason } from '@bankside/bank/consents/end-withdrawn-access'
import type { CustomerConsent } from '@bankside/bank/consents/list-customer-consents'
import { permissionTexts } from '@bankside/bank/consents/permission-texts'
import type { CustomerId } from '@bankside/bank/ids'
import type { PaymentOutcome } from '@bankside/bank/payments/outcome-of-consent'
import type { ConnectedAccount } from '@bankside/consent-ui/connected-account'
import type { ConsentSummary } from '@bankside/consent-ui/connected-accounts'
import { formatAmount } from '@bankside/consent-ui/format/amount'
import { formatExpiry, formatTransactionWindow } from '@bankside/consent-ui/format/consent-terms'
import type { Transaction } from '@bankside/service-kit/postgres'
import { describeAccount } from '../interactions/journey-pages.ts'
import { outcomeInWords } from './payment-outcome.ts'

export type Accounts = ReadonlyMap<string, AccountToShow>

export async function accountsOf(tx: Transaction, customerId: CustomerId): Promise<Accounts> {
  return new Map((await listCustomerAccounts(tx, customerId)).map((account) => [account.id, account]))
}

export const hrefOf = ({ consent }: CustomerConsent): string => `/connected-accounts/${consent.id}`

/** One consent in the overview. */
export function summaryOf(given: CustomerConsent, accounts: Accounts): ConsentSummary {
  const { consent, clientName } = given
  return {
    href: hrefOf(given),
    thirdPartyName: clientName,
    kindLabel: kindLabelOf(given),
    statusLabel: statusLabelOf(given),
    accounts: namesOf(given, accounts),
    grantedAt: consent.authorisedAt ?? consent.createdAt,
    expiry: expiryOf(given),
    ...(!given.active && { endedAt: consent.deletedAt ?? consent.statusUpdatedAt }),
    ...pauseOf(given),
  }
}

export const namesOf = (given: CustomerConsent, accounts: Accounts): string[] =>
  chosen(given, accounts).map((account) => `${account.nickname}, ${describeAccount(account).maskedIdentifier}`)

/** The same in full, but for what belongs to the page. */
export function detailOf(
  given: CustomerConsent,
  accounts: Accounts,
  outcome?: PaymentOutcome,
): Omit<ConnectedAccount, 'common' | 'overviewHref'> {
  const { consent, clientName, active } = given
  const isAccess = consent.kind === 'account_access'
  return {
    thirdPartyName: clientName,
    kindLabel: kindLabelOf(given),
    statusLabel: statusLabelOf(given),
    clusters: isAccess ? permissionTexts(consent.permissions) : [],
    accounts: chosen(given, accounts).map((account) => ({ nickname: account.nickname, ...describeAccount(account) })),
    grantedAt: consent.authorisedAt ?? consent.createdAt,
    expiry: expiryOf(given),
    ...(isAccess && { transactionWindow: formatTransactionWindow({ from: consent.transactionFrom, to: consent.transactionTo }) }),
    ...(!active && {
      endedAt: consent.deletedAt ?? consent.statusUpdatedAt,
      endedBecause: outcome === undefined ? endedBecause(given) : outcomeInWords(outcome),
    }),
    ...pauseOf(given),
  }
}

function chosen({ consent }: CustomerConsent, accounts: Accounts): AccountToShow[] {
  const ids = consent.kind === 'account_access' ? consent.accountIds : [consent.debtorAccountId]
  return ids.flatMap((id) => (id === undefined ? [] : (accounts.get(id) ?? [])))
}

const expiryOf = ({ consent }: CustomerConsent): string =>
  consent.kind === 'account_access' ? formatExpiry(consent.expiresAt) : 'For one payment'

const kindLabelOf = ({ consent }: CustomerConsent): string =>
  consent.kind === 'account_access'
    ? 'Sees your account information'
    : `One payment of ${formatAmount(consent.amount)} to ${consent.creditor.name}`

function statusLabelOf({ consent, active, clientStatus }: CustomerConsent): string {
  if (active) return clientStatus === 'blocked' ? 'Paused' : 'Active'
  if (consent.status === 'COND') return 'Used'
  return consent.status === 'CANC' ? 'Stopped' : 'Ended'
}

/** The bank has blocked the third party, and may let it go on: what the customer agreed to has not ended. */
function pauseOf({ active, clientName, clientStatus }: CustomerConsent): { pausedBecause?: string } {
  if (!active || clientStatus !== 'blocked') return {}
  return { pausedBecause: `We have blocked ${clientName} for now. It cannot see your accounts or pay from them.` }
}

function endedBecause({ consent, clientName, clientStatus }: CustomerConsent): string {
  if (clientStatus === 'deleted' && consent.status === 'AUTH') return `${clientName} has ended its connection with us.`
  if (consent.statusReason?.code === withdrawnReason.code || (clientStatus === 'withdrawn' && consent.status === 'AUTH'))
    return `${clientName} is no longer authorised to offer this. It cannot see your accounts or pay from them.`
  if (consent.deletedAt !== undefined) return `${clientName} has told us that it no longer needs access.`
  if (consent.status === 'CANC') return cancelledBecause(consent.statusReason?.code, clientName)
  if (consent.statusReason?.code === 'U036') return `${clientName} did not use it.`
  if (consent.statusReason?.code === 'AC04') return 'The account that it was for is closed.'
  return 'The time that you agreed to is over.'
}

function cancelledBecause(code: string | undefined, clientName: string): string {
  if (code === 'AC04') return 'The account that it was for is closed.'
  if (code === 'CN01') return `${clientName} has told us that it no longer needs access.`
  return code === 'NARR' ? `You agreed to share other things with ${clientName} instead.` : 'You stopped access.'
}
