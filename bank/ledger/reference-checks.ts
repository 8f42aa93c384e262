import { type SqlFragment, sql } from '@bankside/service-kit/postgres'

/**
 * What foreign keys would say, and do not: of payments, holds, entries and notifications they would be asked by every payment, and none
 * holds against who owns the tables. Each finds what points at something that is gone.
 */
export const referenceChecks = {
  'payment points at what is not there': pointers(sql.fragment`payments.payment p`, sql.fragment`p.payment_id`, [
    ['consent', sql.fragment`p.consent_id`, sql.fragment`consents.consent`, sql.fragment`consent_id`],
    ['client', sql.fragment`p.client_id`, sql.fragment`clients.client`, sql.fragment`client_id`],
    ['customer', sql.fragment`p.customer_id`, sql.fragment`customers.customer`, sql.fragment`customer_id`],
    ['account', sql.fragment`p.debtor_account_id`, sql.fragment`ledger.account`, sql.fragment`account_id`],
    ['account', sql.fragment`p.creditor_account_id`, sql.fragment`ledger.account`, sql.fragment`account_id`],
    ['hold', sql.fragment`p.hold_id`, sql.fragment`ledger.hold`, sql.fragment`hold_id`],
    ['entry', sql.fragment`p.entry_id`, sql.fragment`ledger.entry`, sql.fragment`entry_id`],
  ]),
  'hold points at what is not there': pointers(sql.fragment`ledger.hold h`, sql.fragment`h.hold_id`, [
    ['account', sql.fragment`h.account_id`, sql.fragment`ledger.account`, sql.fragment`account_id`],
    ['entry', sql.fragment`h.entry_id`, sql.fragment`ledger.entry`, sql.fragment`entry_id`],
  ]),
  'entry points at what is not there': pointers(sql.fragment`ledger.entry e`, sql.fragment`e.entry_id`, [
    ['hold', sql.fragment`e.hold_id`, sql.fragment`ledger.hold`, sql.fragment`hold_id`],
    ['entry', sql.fragment`e.reverses`, sql.fragment`ledger.entry`, sql.fragment`entry_id`],
  ]),
  'account points at what is not there': pointers(sql.fragment`ledger.account a`, sql.fragment`a.account_id`, [
    ['customer', sql.fragment`a.customer_id`, sql.fragment`customers.customer`, sql.fragment`customer_id`],
    ['currency', sql.fragment`a.currency`, sql.fragment`ledger.currency`, sql.fragment`currency`],
  ]),
  'consent points at what is not there': pointers(sql.fragment`consents.consent c`, sql.fragment`c.consent_id`, [
    ['client', sql.fragment`c.client_id`, sql.fragment`clients.client`, sql.fragment`client_id`],
    ['customer', sql.fragment`c.customer_id`, sql.fragment`customers.customer`, sql.fragment`customer_id`],
    ['account', sql.fragment`c.debtor_account_id`, sql.fragment`ledger.account`, sql.fragment`account_id`],
    ['account', sql.fragment`c.creditor_account_id`, sql.fragment`ledger.account`, sql.fragment`account_id`],
  ]),
  'notification points at what is not there': pointers(sql.fragment`events.notification n`, sql.fragment`n.event_id`, [
    ['customer', sql.fragment`n.customer_id`, sql.fragment`customers.customer`, sql.fragment`customer_id`],
  ]),
} as const

type Pointer = readonly [what: string, column: SqlFragment, table: SqlFragment, key: SqlFragment]

function pointers(from: SqlFragment, id: SqlFragment, columns: readonly Pointer[]): SqlFragment {
  const each = columns.map(
    ([what, column, table, key]) => sql.fragment`
      select ${id}, format('%s %s', ${what}::text, ${column}) from ${from}
      where ${column} is not null and not exists (select from ${table} x where x.${key} = ${column})`,
  )
  return sql.fragment`${sql.join(each, sql.fragment` union all `)}`
}
