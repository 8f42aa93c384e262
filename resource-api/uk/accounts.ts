import type { Account } from '@bankside/bank/accounts/account'
import { getAccount } from '@bankside/bank/accounts/get-account'
import { type Balance, getBalance, namedBalance } from '@bankside/bank/accounts/get-balance'
import { listAccounts } from '@bankside/bank/accounts/list-accounts'
import type { Money } from '@bankside/bank/money'
import type { Call, Reply } from '../api.ts'
import { amountAndDirection, dateTime, renderAmount, ukReply, withoutUndefined } from './reply.ts'

/** GET /accounts */
export async function readAccounts(call: Call): Promise<Reply> {
  const accounts = await listAccounts(call.tx, call.access)
  return ukReply(call, 200, { Data: { Account: accounts.map(renderAccount) } })
}

/** GET /accounts/{AccountId} */
export async function readAccount(call: Call): Promise<Reply> {
  const account = await getAccount(call.tx, call.access, accountIdOf(call))
  return ukReply(call, 200, { Data: { Account: [renderAccount(account)] } })
}

/** GET /accounts/{AccountId}/balances: what may be spent, and what is booked, both as of now. */
export function readBalances(call: Call): Promise<Reply> | Reply {
  const named = namedBalance(call.access, accountIdOf(call))
  return named === undefined
    ? getBalance(call.tx, call.access, accountIdOf(call)).then((balance) => renderBalance(call, balance))
    : renderBalance(call, named)
}

function renderBalance(call: Call, { accountId, available, posted, overdraft }: Balance): Reply {
  const at = { AccountId: accountId, DateTime: dateTime(call.now) }
  const spendable = { ...at, Type: 'ITAV', ...amountAndDirection(available) }
  const Balance = [
    overdraft.minor > 0n ? { ...spendable, CreditLine: [creditLine(overdraft)] } : spendable,
    { ...at, Type: 'ITBD', ...amountAndDirection(posted) },
  ]
  return ukReply(call, 200, { Data: { Balance } })
}

const creditLine = (overdraft: Money): object => ({ Included: true, Type: 'Pre-Agreed', Amount: renderAmount(overdraft) })

const accountIdOf = ({ parameters }: Call): string => parameters['accountId'] ?? ''

const statuses = { open: 'Enabled', frozen: 'Disabled', closed: 'Deleted' } as const

/** The bank's answer holds no more than the consent opens (AIS-07): what is undefined is left out. */
function renderAccount(account: Account): object {
  const identifications = identificationsOf(account)
  return withoutUndefined({
    AccountId: account.id,
    Status: statuses[account.status],
    Currency: account.currency,
    AccountCategory: 'Personal',
    AccountTypeCode: account.typeCode,
    Nickname: account.nickname,
    OpeningDate: dateTime(account.openedAt),
    Account: identifications.length > 0 ? identifications : undefined,
  })
}

function identificationsOf({ sortCode, accountNumber, iban, holderName }: Account): object[] {
  return [
    ...(sortCode !== undefined && accountNumber !== undefined
      ? [{ SchemeName: 'UK.OBIE.SortCodeAccountNumber', Identification: `${sortCode}${accountNumber}`, Name: holderName }]
      : []),
    ...(iban !== undefined ? [{ SchemeName: 'UK.OBIE.IBAN', Identification: iban, Name: holderName }] : []),
  ].map(withoutUndefined)
}
