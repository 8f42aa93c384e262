import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { AccountTypeCode } from '../accounts/account.ts'
import { createCustomer } from '../customers/create-customer.ts'
import { hashPassword } from '../customers/passwords.ts'
import { type DataKeys, newTotpSecret, unsealTotpSecret } from '../customers/totp.ts'
import { type AccountId, type CustomerId, isAccountId, newAccountId } from '../ids.ts'
import { openAccount } from '../ledger/open-account.ts'
import { transfer } from '../ledger/transfer.ts'
import { type Currency, isCurrency } from '../money.ts'
import { setStraightThrough } from '../payments/straight-through.ts'
import { accountNumbers } from './account-numbers.ts'
import { historyDays, historyOf, type Movement } from './history.ts'
import { type OwnAccount, ownAccounts } from './own-accounts.ts'
import { type Person, type PersonAccount, people } from './people.ts'

/** All that somebody needs to sign in as a demo customer, and to find their accounts. */
export type DemoCustomer = {
  readonly customerId: CustomerId
  readonly username: string
  readonly password: string
  /** Base32. */
  readonly totpSecret: string
  readonly fullName: string
  readonly accounts: readonly DemoAccount[]
}

export type DemoAccount = {
  readonly accountId: AccountId
  readonly nickname: string
  readonly typeCode: AccountTypeCode
  readonly currency: Currency
  readonly sortCode: string
  readonly accountNumber: string
  readonly iban: string
}

export type DemoOptions = { readonly dataKey: DataKeys; readonly now: Date }

const firstAccountNumber = 10_000_001

/**
 * Five people with accounts and ninety days of history, in real ledger entries, and payments that are posted when they come. A second time finds
 * them and changes nothing.
 */
export async function fillDemoData(tx: Transaction, { dataKey, now }: DemoOptions): Promise<readonly DemoCustomer[]> {
  const there = await readDemoCustomers(tx, dataKey)
  if (there.length === people.length) return there
  if (there.length > 0) throw new Error('some of the demo customers are there and some are not')

  const own = await ownAccounts(tx, now)
  const begin = new Date(now.getTime() - (historyDays + 1) * 24 * 60 * 60 * 1000)
  const opened: Opened[] = []
  let number = firstAccountNumber
  for (const person of people) {
    const customer = await enter(tx, person, { dataKey, now: begin, number, own })
    opened.push({ person, customer })
    number += person.accounts.length
  }
  // In order of time over all of them, because they share the settlement accounts.
  const movements = opened
    .flatMap((someone) => historyOf(someone.person, now).map((movement) => ({ ...someone, movement })))
    .toSorted((one, other) => one.movement.at.getTime() - other.movement.at.getTime())
  for (const { customer, movement } of movements) await move(tx, own, customer, movement)
  await setStraightThrough(tx, { on: true, actor: 'sandbox', why: 'The sandbox has the built-in check and no other.', now })
  return opened.map(({ customer }) => customer)
}

type Opened = { readonly person: Person; readonly customer: DemoCustomer }
type Entering = DemoOptions & { readonly number: number; readonly own: OwnAccount }

async function enter(tx: Transaction, person: Person, { dataKey, now, number, own }: Entering): Promise<DemoCustomer> {
  const { username, password, fullName, phone } = person
  const totpSecret = newTotpSecret()
  const email = `${username}@example.com`
  const customerId = await createCustomer(tx, {
    username,
    passwordHash: await hashPassword(password),
    totpSecret,
    fullName,
    email,
    phone,
    dataKey,
    now,
  })
  const accounts: DemoAccount[] = []
  for (const [index, account] of person.accounts.entries())
    accounts.push(await openFunded(tx, account, { customerId, holderName: fullName, number: number + index, own, now }))
  return { customerId, username, password, totpSecret, fullName, accounts }
}

type Holder = {
  readonly customerId: CustomerId
  readonly holderName: string
  readonly number: number
  readonly own: OwnAccount
  readonly now: Date
}

async function openFunded(
  tx: Transaction,
  account: PersonAccount,
  { customerId, holderName, number, own, now }: Holder,
): Promise<DemoAccount> {
  const { nickname, typeCode, currency, openingMinor, overdraftMinor = 0n } = account
  const demo = { accountId: newAccountId(), nickname, typeCode, currency, ...accountNumbers(number) }
  await openAccount(tx, { ...demo, customerId, kind: 'customer', holderName, overdraftMinor, now })
  const from = own('equity', currency)
  const opening = { from, to: demo.accountId, amount: { minor: openingMinor, currency }, kind: 'opening' } as const
  await posted(tx, { ...opening, description: 'Opening balance', reference: 'OPENING', now })
  return demo
}

async function move(tx: Transaction, own: OwnAccount, { accounts }: DemoCustomer, movement: Movement): Promise<void> {
  const account = accounts[movement.account]
  if (account === undefined) throw new Error('a movement names an account that the person does not have')
  const other = movement.toAccount === undefined ? own('settlement', account.currency) : accounts[movement.toAccount]?.accountId
  if (other === undefined) throw new Error('a movement goes to an account that the person does not have')
  const party = movement.toAccount === undefined ? { name: movement.counterparty } : undefined
  const incoming = movement.amountMinor > 0n
  await posted(tx, {
    from: incoming ? other : account.accountId,
    to: incoming ? account.accountId : other,
    amount: { minor: incoming ? movement.amountMinor : -movement.amountMinor, currency: account.currency },
    kind: 'transfer',
    description: movement.description,
    reference: movement.reference,
    ...(party && (incoming ? { debtor: party } : { creditor: party })),
    now: movement.at,
  })
}

async function posted(tx: Transaction, order: Parameters<typeof transfer>[1]): Promise<void> {
  const outcome = await transfer(tx, order)
  if ('declined' in outcome) throw new Error(`the demo data do not add up: ${order.description} was declined, ${outcome.declined}`)
}

const demoRow = z.object({
  customer_id: z.templateLiteral(['cus_', z.string()]),
  username: z.string(),
  totp_secret_sealed: z.instanceof(Buffer),
  full_name: z.string(),
})
const demoAccountRow = z.object({
  customer_id: z.string(),
  account_id: z.custom<AccountId>(isAccountId),
  nickname: z.string(),
  type_code: z.enum(['CACC', 'SVGS', 'OTHR']),
  currency: z.custom<Currency>(isCurrency),
  sort_code: z.string(),
  account_number: z.string(),
  iban: z.string(),
})

async function readDemoCustomers(tx: Transaction, dataKey: DataKeys): Promise<readonly DemoCustomer[]> {
  const names = sql.array(
    people.map(({ username }) => username),
    'text',
  )
  const customers = await tx.any(sql.type(demoRow)`
    select customer_id, username, totp_secret_sealed, full_name from customers.customer where username = any(${names})
    order by array_position(${names}, username)`)
  const accounts = await tx.any(sql.type(demoAccountRow)`
    select a.customer_id, a.account_id, a.nickname, a.type_code, a.currency, a.sort_code, a.account_number, a.iban
    from ledger.account a join customers.customer c on c.customer_id = a.customer_id
    where c.username = any(${names}) order by a.account_number`)
  return customers.map(({ customer_id: customerId, username, totp_secret_sealed, full_name: fullName }) => ({
    customerId,
    username,
    password: people.find((person) => person.username === username)?.password ?? '',
    totpSecret: unsealTotpSecret(dataKey, customerId, totp_secret_sealed),
    fullName,
    accounts: accounts
      .filter((account) => account.customer_id === customerId)
      .map(
        ({ account_id: accountId, nickname, type_code: typeCode, currency, sort_code: sortCode, account_number: accountNumber, iban }) => ({
          accountId,
          nickname,
          typeCode,
          currency,
          sortCode,
          accountNumber,
          iban,
        }),
      ),
  }))
}
