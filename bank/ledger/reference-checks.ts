import { type SqlFragment, sql } from '@bankside/service-kit/postgres'

/** What is pointed at: its table and key. */
const targets = {
  account: [sql.fragment`ledger.account`, sql.fragment`account_id`],
  client: [sql.fragment`clients.client`, sql.fragment`client_id`],
  consent: [sql.fragment`consents.consent`, sql.fragment`consent_id`],
  currency: [sql.fragment`ledger.currency`, sql.fragment`currency`],
  customer: [sql.fragment`customers.customer`, sql.fragment`customer_id`],
  entry: [sql.fragment`ledger.entry`, sql.fragment`entry_id`],
  hold: [sql.fragment`ledger.hold`, sql.fragment`hold_id`],
} as const

/**
 * What foreign keys would say, and do not: of payments, holds, entries and notifications they would be asked by every payment, and none
 * holds against who owns the tables. Each finds what points at something that is gone.
 */
export const referenceChecks = {
  'payment points at what is not there': pointers(sql.fragment`payments.payment p`, sql.fragment`p.payment_id`, [
    ['consent', sql.fragment`p.consent_id`],
    ['client', sql.fragment`p.client_id`],
    ['customer', sql.fragment`p.customer_id`],
    ['account', sql.fragment`p.debtor_account_id`],
    ['account', sql.fragment`p.creditor_account_id`],
    ['hold', sql.fragment`p.hold_id`],
    ['entry', sql.fragment`p.entry_id`],
  ]),
  'hold points at what is not there': pointers(sql.fragment`ledger.hold h`, sql.fragment`h.hold_id`, [
    ['account', sql.fragment`h.account_id`],
    ['entry', sql.fragment`h.entry_id`],
  ]),
  'entry points at what is not there': pointers(sql.fragment`ledger.entry e`, sql.fragment`e.entry_id`, [
    ['hold', sql.fragment`e.hold_id`],
    ['entry', sql.fragment`e.reverses`],
  ]),
  'account points at what is not there': pointers(sql.fragment`ledger.account a`, sql.fragment`a.account_id`, [
    ['customer', sql.fragment`a.customer_id`],
    ['currency', sql.fragment`a.currency`],
  ]),
  'consent points at what is not there': pointers(sql.fragment`consents.consent c`, sql.fragment`c.consent_id`, [
    ['client', sql.fragment`c.client_id`],
    ['customer', sql.fragment`c.customer_id`],
    ['account', sql.fragment`c.debtor_account_id`],
    ['account', sql.fragment`c.creditor_account_id`],
  ]),
  'notification points at what is not there': pointers(sql.fragment`events.notification n`, sql.fragment`n.event_id`, [
    ['customer', sql.fragment`n.customer_id`],
  ]),
} as const

type Pointer = readonly [what: keyof typeof targets, column: SqlFragment]

function pointers(from: SqlFragment, id: SqlFragment, columns: readonly Pointer[]): SqlFragment {
  const each = columns.map(([what, column]) => {
    const [table, key] = targets[what]
    return sql.fragment`
      select ${id}, format('%s %s', ${what}::text, ${column}) from ${from}
      where ${column} is not null and not exists (select from ${table} x where x.${key} = ${column})`
  })
  return sql.fragment`${sql.join(each, sql.fragment` union all `)}`
}
