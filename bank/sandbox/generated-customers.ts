import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { hashPassword } from '../customers/passwords.ts'
import { newTotpSecret, sealTotpSecret } from '../customers/totp.ts'
import { newAccountId, newCustomerId, newEntryId } from '../ids.ts'
import { accountNumbers, sortCode } from './account-numbers.ts'
import type { DemoAccount, DemoCustomer, DemoOptions } from './demo-data.ts'
import { ownAccounts } from './own-accounts.ts'

const sharedPassword = 'Generated-Customer-Passphrase-50'
const firstAccountNumber = 50_000_001
const fundsMinor = 1_000_000n
/** One statement each: keep them of a size that PostgreSQL likes. */
export const generatedCustomersLimit = 5_000

/**
 * Adds customers for load: two accounts in pounds each, with funds and without history. They share one password (and its
 * hash, which is what makes them cheap); each has a TOTP secret of their own.
 */
export async function addGeneratedCustomers(
  tx: Transaction,
  count: number,
  { dataKey, now }: DemoOptions,
): Promise<readonly DemoCustomer[]> {
  if (!Number.isSafeInteger(count) || count < 1 || count > generatedCustomersLimit)
    throw new Error(`from 1 to ${generatedCustomersLimit} customers at a time`)
  const first = await nextAccountNumber(tx)
  const customers = Array.from({ length: count }, (_, index) => invent(first + 2 * index))
  await insertCustomers(tx, customers, { dataKey, now, passwordHash: await hashPassword(sharedPassword) })
  await openFundedAccounts(tx, customers, now)
  return customers
}

async function nextAccountNumber(tx: Transaction): Promise<number> {
  const { highest } = await tx.one(sql.type(z.object({ highest: z.string().nullable() }))`
    select max(account_number) as highest from ledger.account
    where sort_code = ${sortCode} and account_number >= ${String(firstAccountNumber)}`)
  return highest === null ? firstAccountNumber : Number(highest) + 1
}

function invent(number: number): DemoCustomer {
  const account = (nickname: string, typeCode: DemoAccount['typeCode'], ownNumber: number): DemoAccount => ({
    accountId: newAccountId(),
    nickname,
    typeCode,
    currency: 'GBP',
    ...accountNumbers(ownNumber),
  })
  return {
    customerId: newCustomerId(),
    username: `load-${number}`,
    password: sharedPassword,
    totpSecret: newTotpSecret(),
    fullName: `Load Customer ${number}`,
    accounts: [account('Everyday', 'CACC', number), account('Savings', 'SVGS', number + 1)],
  }
}

type Entering = DemoOptions & { readonly passwordHash: string }

async function insertCustomers(
  tx: Transaction,
  customers: readonly DemoCustomer[],
  { dataKey, now, passwordHash }: Entering,
): Promise<void> {
  const rows = customers.map(({ customerId, username, totpSecret, fullName }) => [
    customerId,
    username,
    sealTotpSecret(dataKey, customerId, totpSecret).toString('hex'),
    fullName,
  ])
  await tx.query(sql.unsafe`
    insert into customers.customer (
      customer_id, username, password_hash, totp_secret_sealed, full_name, email, email_verified, phone, created_at)
    select customer_id, username, ${passwordHash}, decode(sealed, 'hex'), full_name, username || '@example.com', true,
      '+447700900000', ${sql.timestamp(now)}
    from ${sql.unnest(rows, ['text', 'text', 'text', 'text'])} as new (customer_id, username, sealed, full_name)`)
}

async function openFundedAccounts(tx: Transaction, customers: readonly DemoCustomer[], now: Date): Promise<void> {
  const own = await ownAccounts(tx, now)
  const rows = customers.flatMap(({ customerId, fullName, accounts }) =>
    accounts.map((account) => [
      account.accountId,
      customerId,
      account.nickname,
      fullName,
      account.typeCode,
      account.accountNumber,
      account.iban,
      newEntryId(),
    ]),
  )
  const columns = sql.fragment`(account_id, customer_id, nickname, holder_name, type_code, account_number, iban, entry_id)`
  const accounts = sql.fragment`${sql.unnest(
    rows,
    Array.from({ length: 8 }, () => 'text'),
  )} as new ${columns}`
  await tx.query(sql.unsafe`
    select ledger.open_account(
      account_id, customer_id, 'customer', 'GBP', nickname, holder_name, type_code, ${sortCode}, account_number, iban, 0,
      ${sql.timestamp(now)})
    from ${accounts}`)
  await tx.query(sql.unsafe`
    select ledger.transfer(entry_id, 'opening', ${own('equity', 'GBP')}, account_id, ${fundsMinor}, 'GBP', 'Opening balance', 'OPENING',
      null::ledger.party, null::ledger.party, ${sql.timestamp(now)})
    from ${accounts}`)
}
