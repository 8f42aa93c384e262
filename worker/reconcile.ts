/** `npm run reconcile`: proves the books from what was booked, and says what does not agree. */
import { type Discrepancy, reconcile } from '@bankside/bank/ledger/reconcile'
import { formatMoney, isCurrency } from '@bankside/bank/money'
import { ConfigError } from '@bankside/service-kit/config'
import { type Database, openDatabase, reading, sql, z } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import { databaseToReconcile, NothingToReconcile } from './database-to-reconcile.ts'

const exitCodes = { sound: 0, discrepancies: 1, notRun: 2 } as const

const summaryRow = z.object({
  currency: z.string(),
  accounts: z.bigint(),
  postings: z.bigint(),
  customers_hold: z.bigint(),
  held: z.bigint(),
})

process.exitCode = await main()

async function main(): Promise<number> {
  try {
    const database = await openDatabase(await databaseToReconcile(), { maxConnections: 1 })
    try {
      print(await summaryOf(database))
      return report(await reconcile(database))
    } finally {
      await database.end()
    }
  } catch (error) {
    if (error instanceof ConfigError || error instanceof NothingToReconcile) return complain(error.message)
    if (error instanceof Unavailable) return complain('The database does not answer.')
    throw error
  }
}

async function summaryOf(database: Database): Promise<string> {
  const rows = await reading(
    database.any(sql.type(summaryRow)`
      select currency, count(*) as accounts, sum(posting_count)::bigint as postings,
        coalesce(sum(posted_minor) filter (where kind = 'customer'), 0) as customers_hold, sum(held_minor) as held
      from ledger.account group by currency order by currency`),
  )
  const money = (minor: bigint, currency: string) => (isCurrency(currency) ? formatMoney({ minor, currency }) : String(minor))
  return rows
    .map(
      ({ currency, accounts, postings, customers_hold, held }) =>
        `${currency}  ${accounts} accounts, ${postings} postings, customers hold ${money(customers_hold, currency)}, set aside ${money(held, currency)}`,
    )
    .join('\n')
}

function report(discrepancies: readonly Discrepancy[]): number {
  if (discrepancies.length === 0) {
    print('The books agree: every balance is the sum of its postings, every entry balances, every payment has its money.')
    return exitCodes.sound
  }
  for (const [name, found] of Map.groupBy(discrepancies, ({ name }) => name))
    print(`\n${name}:\n${found.map(({ subject, detail }) => `  ${subject}  ${detail}`).join('\n')}`)
  print(`\nThe books do not agree: ${discrepancies.length} ${discrepancies.length === 1 ? 'discrepancy' : 'discrepancies'}.`)
  return exitCodes.discrepancies
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function complain(text: string): number {
  process.stderr.write(`${text}\n`)
  return exitCodes.notRun
}
