import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { type CustomerId, newCustomerId } from '../ids.ts'
import { normaliseUsername } from './sign-in-attempts.ts'
import { type DataKeys, sealTotpSecret } from './totp.ts'

export type NewCustomer = {
  readonly username: string
  readonly passwordHash: string
  readonly totpSecret: string
  readonly fullName: string
  readonly email: string
  readonly phone: string
  /** Seals the secret. */
  readonly dataKey: DataKeys
  readonly now: Date
}

/** Enters a customer, without accounts. Who they are was established elsewhere. */
export async function createCustomer(tx: Transaction, customer: NewCustomer): Promise<CustomerId> {
  const customerId = newCustomerId()
  await tx.query(sql.unsafe`
    insert into customers.customer (
      customer_id, username, password_hash, totp_secret_sealed, full_name, email, email_verified, phone, created_at)
    values (
      ${customerId}, ${normaliseUsername(customer.username)}, ${customer.passwordHash},
      ${sql.binary(sealTotpSecret(customer.dataKey, customerId, customer.totpSecret))}, ${customer.fullName}, ${customer.email}, true,
      ${customer.phone}, ${sql.timestamp(customer.now)})`)
  return customerId
}
