import { randomBytes } from 'node:crypto'

/** Ids are 128 bits behind a prefix that says of what: random, or time and then random (`mint`). The columns check the same shape. */
type Id<Prefix extends string> = `${Prefix}_${string}`

export type AccountId = Id<'acc'>
export type AuditRecordId = Id<'aud'>
export type BackchannelRequestId = Id<'bar'>
export type BeneficiaryId = Id<'ben'>
export type ChallengeId = Id<'sca'>
export type ConsentId = Id<'con'>
export type CustomerId = Id<'cus'>
export type EntryId = Id<'ent'>
export type EventId = Id<'evt'>
export type HoldId = Id<'hld'>
export type LimitId = Id<'lim'>
export type ManagedGrantId = Id<'gnt'>
export type PaymentId = Id<'pay'>
/** RFC 7591 client identifier. Never starts with `cus_`, so that it cannot be taken for a subject (FAPI2-AS-15). */
export type ClientId = string

/** Drawn in advance: asking the system for a few bytes at a time costs more than everything else of an id. Each is handed out once. */
const drawnBytes = 4_096
let drawn = ''
function randomHex(bytes: number): string {
  if (drawn.length < 2 * bytes) drawn = randomBytes(drawnBytes).toString('hex')
  const taken = drawn.slice(0, 2 * bytes)
  drawn = drawn.slice(2 * bytes)
  return taken
}

/**
 * Of rows of which there are very many, the first 48 bits are the time, when it is given: those made together then stand
 * together in their indexes. 80 bits stay random, and nothing is protected by these ids being hard to guess.
 */
const mint =
  <Prefix extends string>(prefix: Prefix) =>
  (at?: Date): Id<Prefix> =>
    at === undefined ? `${prefix}_${randomHex(16)}` : `${prefix}_${at.getTime().toString(16).padStart(12, '0')}${randomHex(10)}`
const recognise = <Prefix extends string>(prefix: Prefix) => {
  const shape = new RegExp(`^${prefix}_[0-9a-f]{32}$`)
  return (text: unknown): text is Id<Prefix> => typeof text === 'string' && shape.test(text)
}

export const newAccountId = mint('acc')
export const newAuditRecordId = mint('aud')
export const newBackchannelRequestId = mint('bar')
export const newBeneficiaryId = mint('ben')
export const newChallengeId = mint('sca')
export const newConsentId = mint('con')
export const newCustomerId = mint('cus')
export const newEntryId = mint('ent')
export const newEventId = mint('evt')
export const newHoldId = mint('hld')
export const newLimitId = mint('lim')
export const newManagedGrantId = mint('gnt')
export const newPaymentId = mint('pay')

export const isAccountId = recognise('acc')
export const isBeneficiaryId = recognise('ben')
export const isConsentId = recognise('con')
export const isCustomerId = recognise('cus')
export const isEntryId = recognise('ent')
export const isLimitId = recognise('lim')
export const isManagedGrantId = recognise('gnt')
export const isPaymentId = recognise('pay')
