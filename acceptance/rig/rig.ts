import { type HttpCustomer, httpCustomer } from '../customer/http-customer.ts'
import { type Authenticator, authenticator } from '../customer/totp.ts'
import type { DemoAccount, DemoCustomer, SandboxDescription } from '../sandbox/description.ts'
import { askDatabase } from '../sandbox/own-database.ts'
import { type RunningSandbox, type SandboxOptions, startSandbox } from '../sandbox/start-sandbox.ts'
import { openThirdParty, type ThirdParty } from '../third-party/third-party.ts'

/** What the tests of one file share: a sandbox that is theirs alone, and the people and programs that meet in it. */
export type Rig = {
  readonly sandbox: RunningSandbox
  readonly description: SandboxDescription
  readonly codes: Authenticator
  thirdParty(clientId: string): Promise<ThirdParty>
  /** Somebody who suits, not the same person twice in a row: five people share the work. */
  someone(suits?: (customer: DemoCustomer) => boolean): DemoCustomer
  /** A fresh browser without scripts, in front of somebody. */
  customer(person: DemoCustomer): HttpCustomer
  /** Asks the database as its owner. */
  ask<Row extends Record<string, unknown>>(question: string, values?: readonly unknown[]): Promise<Row[]>
  close(): Promise<void>
}

export async function openRig(options: SandboxOptions = {}): Promise<Rig> {
  const sandbox = await startSandbox(options)
  const { description } = sandbox
  const thirdParties = new Map<string, Promise<ThirdParty>>()
  const ask: Rig['ask'] = (question, values) => askDatabase(sandbox.databaseUrl, question, values)
  const codes = authenticator({ onNoneLeft: ({ username }) => ask(forgetCodes, [username]) })
  const people = [...description.customers]
  return {
    sandbox,
    description,
    codes,
    ask,
    thirdParty(clientId) {
      const thirdParty = thirdParties.get(clientId) ?? openThirdParty(description, clientId)
      thirdParties.set(clientId, thirdParty)
      return thirdParty
    },
    someone(suits = () => true) {
      const index = people.findIndex(suits)
      const [person] = index < 0 ? [] : people.splice(index, 1)
      if (person === undefined) throw new Error('no demo customer suits')
      people.push(person)
      return person
    },
    customer: (person) => httpCustomer(description, person, codes),
    close: () => sandbox.remove(),
  }
}

/** Time that the tests do not have: the bank forgets which codes it saw. That a code opens one door only is tested where this is not used. */
const forgetCodes = `delete from customers.totp_step_used used using customers.customer
  where used.customer_id = customer.customer_id and customer.username = $1`

export const isSterling = ({ currency, account_number }: DemoAccount): boolean => currency === 'GBP' && account_number !== null
export const hasThreeAccounts = ({ accounts }: DemoCustomer): boolean => accounts.length >= 3
export const hasSterling = ({ accounts }: DemoCustomer): boolean => accounts.some(isSterling)

export function sterlingOf({ username, accounts }: DemoCustomer): DemoAccount {
  const account = accounts.find(isSterling)
  if (account === undefined) throw new Error(`${username} has no sterling account`)
  return account
}
