import type { Account } from '@bankside/bank/accounts/account'
import { getAccount } from '@bankside/bank/accounts/get-account'
import { listAccounts } from '@bankside/bank/accounts/list-accounts'
import type { Call, Reply } from '../api.ts'
import { cents, timestamp } from './reply.ts'

/** GET /accounts */
export async function readAccounts({ tx, access }: Call): Promise<Reply> {
  const accounts = await listAccounts(tx, access)
  return { status: 200, body: { accounts: accounts.map(renderAccount) } }
}

/** GET /accounts/{accountId} */
export async function readAccount({ tx, access, parameters }: Call): Promise<Reply> {
  return { status: 200, body: renderAccount(await getAccount(tx, access, parameters['accountId'] ?? '')) }
}

const types = { CACC: 'current', SVGS: 'savings', OTHR: 'other' } as const

function renderAccount(account: Account): object {
  const { posted, held, available } = account
  return {
    id: account.id,
    type: types[account.typeCode],
    nickname: account.nickname,
    holder_name: account.holderName,
    currency: account.currency,
    status: account.status,
    sort_code: account.sortCode,
    account_number: account.accountNumber,
    iban: account.iban,
    opened_at: timestamp(account.openedAt),
    ...(posted &&
      held &&
      available && { balance: { current_cents: cents(posted), held_cents: cents(held), available_cents: cents(available) } }),
  }
}
