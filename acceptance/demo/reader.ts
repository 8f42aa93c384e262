import { decodeJwt, type JWTPayload } from 'jose'
import type { Answer } from '../third-party/answer.ts'
import type { ThirdParty, Tokens } from '../third-party/third-party.ts'
import { aisp } from '../third-party/uk-open-banking.ts'

/** A third party that may read somebody's accounts. */
export type Reader = {
  readonly thirdParty: ThirdParty
  readonly tokens: Tokens
  readonly consentId: string
  readonly accountIds: readonly string[]
}

export const read = ({ thirdParty, tokens }: Pick<Reader, 'thirdParty' | 'tokens'>, path: string): Promise<Answer> =>
  thirdParty.call(tokens.access_token, 'GET', aisp(thirdParty, path))

/** What is in an account now, in minor units: the interim available or booked balance, signed. */
export async function balanceOf(reader: Reader, accountId: string): Promise<bigint> {
  const answer = await read(reader, `/accounts/${accountId}/balances`)
  const balances = answer.listAt('Data.Balance')
  const balance = balances.find((each) => each.at('Type') === 'ITAV') ?? balances[0]
  if (balance === undefined) throw new Error(`no balance in ${answer.text}`)
  const minor = minorUnits(balance.textAt('Amount.Amount'))
  return balance.at('CreditDebitIndicator') === 'Debit' ? -minor : minor
}

/** Pence of an amount with two decimals or none. */
export function minorUnits(amount: string): bigint {
  const [whole = '0', fraction = ''] = amount.split('.')
  return BigInt(whole + fraction.padEnd(2, '0').slice(0, 2))
}

export const claimsOf = (token: string): JWTPayload => decodeJwt(token)
