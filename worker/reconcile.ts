/**
 * `npm run reconcile`: proves the books from what was booked, and says what does not agree. With `--freeze`, freezes the
 * customers' accounts that this touches, as the worker does every day; `lift ACCOUNT_ID --why "…"` lets one go on.
 */
import { parseArgs } from 'node:util'
import { isAccountId } from '@bankside/bank/ids'
import { freezeAtMost, freezeTouched, liftFreeze } from '@bankside/bank/ledger/freeze-accounts'
import { type Discrepancy, reconcileWhole } from '@bankside/bank/ledger/reconcile'
import { keepReport } from '@bankside/bank/ledger/reconciliation-reports'
import { formatMoney, isCurrency } from '@bankside/bank/money'
import { systemClock } from '@bankside/service-kit/clock'
import { type Database, openDatabase, reading, sql, transact, z } from '@bankside/service-kit/postgres'
import { Complaint, exitStatusOf, isWhy, operator, print } from './commands/run-command.ts'
import { databaseToReconcile } from './database-to-reconcile.ts'

const exitCodes = { sound: 0, discrepancies: 1, notRun: 2 } as const

const summaryRow = z.object({
  currency: z.string(),
  accounts: z.bigint(),
  postings: z.bigint(),
  customers_hold: z.bigint(),
  held: z.bigint(),
})

const usage = `npm run reconcile [-- --freeze]\nnpm run reconcile -- lift ACCOUNT_ID --why "…"`

process.exitCode = await exitStatusOf(main, exitCodes.notRun)

async function main(): Promise<number> {
  const asked = readArguments()
  const database = await openDatabase(await databaseToReconcile(), { maxConnections: 1 })
  try {
    return 'lift' in asked ? await lift(database, asked) : await reconcileNow(database, asked)
  } finally {
    await database.end()
  }
}

async function reconcileNow(database: Database, { freeze }: { readonly freeze: boolean }): Promise<number> {
  print(await summaryOf(database))
  const now = systemClock.now()
  const reconciled = await reconcileWhole(database)
  // Not of a replica: nothing can be written there.
  if (!(await isReplica(database))) await keepReport(database, 'whole', reconciled, now)
  const code = report(reconciled.discrepancies)
  if (!freeze) return code
  const frozen = await freezeTouched(database, reconciled.discrepancies, now)
  if (frozen === undefined) print(`More than ${freezeAtMost} accounts are touched: none was frozen.`)
  else if (frozen.length > 0) print(`Frozen until somebody lifts it: ${frozen.join(', ')}`)
  return code
}

function isReplica(database: Database): Promise<unknown> {
  return reading(database.oneFirst(sql.unsafe`select pg_is_in_recovery()`))
}

async function lift(database: Database, { lift: accountId, why }: { readonly lift: string; readonly why: string }): Promise<number> {
  if (!isAccountId(accountId)) throw new Complaint(usage)
  const frozenFor = await transact(database, (tx) => liftFreeze(tx, { accountId, actor: operator(), why, now: systemClock.now() }))
  if (frozenFor === undefined) throw new Complaint(`${accountId} was not frozen by reconciliation.`)
  print(`${accountId} is open again. It had been frozen because: ${frozenFor}.`)
  return exitCodes.sound
}

function readArguments(): { readonly freeze: boolean } | { readonly lift: string; readonly why: string } {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { freeze: { type: 'boolean', default: false }, why: { type: 'string', default: '' } },
    })
    const [command, lift, ...others] = positionals
    if (command === undefined) return { freeze: values.freeze }
    if (command === 'lift' && lift !== undefined && others.length === 0 && isWhy(values.why)) return { lift, why: values.why }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
  }
  throw new Complaint(usage)
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
