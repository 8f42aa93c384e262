import type { AccountTypeCode } from '../accounts/account.ts'
import type { Currency } from '../money.ts'

/** A demo customer. The passwords are public: they open nothing but a sandbox. */
export type Person = {
  readonly username: string
  readonly password: string
  readonly fullName: string
  /** From the numbers that Ofcom keeps for drama. */
  readonly phone: string
  readonly accounts: readonly PersonAccount[]
  readonly life: Life
}

export type PersonAccount = {
  readonly nickname: string
  readonly typeCode: AccountTypeCode
  readonly currency: Currency
  readonly openingMinor: bigint
  readonly overdraftMinor?: bigint
}

/** What moves money through the first account month by month. Savings go to the second. */
export type Life = {
  readonly employer: string
  readonly salaryMinor: bigint
  readonly payDay: number
  readonly landlord: string
  readonly rentMinor: bigint
  readonly savingsMinor: bigint
  readonly grocer: string
  readonly haunts: readonly string[]
}

const euro = { nickname: 'Euro account', typeCode: 'CACC', currency: 'EUR' } as const

export const people: readonly Person[] = [
  {
    username: 'amelia',
    password: 'Copper-Kettle-Meadow-41',
    fullName: 'Amelia Hartley',
    phone: '+447700900141',
    accounts: [
      { nickname: 'Everyday', typeCode: 'CACC', currency: 'GBP', openingMinor: 184_020n, overdraftMinor: 50_000n },
      { nickname: 'Rainy day', typeCode: 'SVGS', currency: 'GBP', openingMinor: 620_000n },
      { ...euro, openingMinor: 95_000n },
    ],
    life: {
      employer: 'Northgate Publishing Ltd',
      salaryMinor: 284_150n,
      payDay: 28,
      landlord: 'Mill Lane Lettings',
      rentMinor: 112_500n,
      savingsMinor: 25_000n,
      grocer: 'Greenleaf Grocers',
      haunts: ['Kettle & Crumb', 'City Cycles', 'The Paper Mill', 'Thameside Trains'],
    },
  },
  {
    username: 'oliver',
    password: 'Quiet-Harbour-Lantern-27',
    fullName: 'Oliver Bennett',
    phone: '+447700900227',
    accounts: [
      { nickname: 'Current account', typeCode: 'CACC', currency: 'GBP', openingMinor: 231_544n },
      { nickname: 'House deposit', typeCode: 'SVGS', currency: 'GBP', openingMinor: 1_480_000n },
      { ...euro, openingMinor: 41_250n },
    ],
    life: {
      employer: 'Pennine Rail Engineering',
      salaryMinor: 311_800n,
      payDay: 25,
      landlord: 'Calder Homes',
      rentMinor: 98_000n,
      savingsMinor: 60_000n,
      grocer: 'Dales Supermarket',
      haunts: ['Ridge Outdoor', 'The Waggon Inn', 'Pennine Trains', 'Book Nook'],
    },
  },
  {
    username: 'priya',
    password: 'Saffron-Window-Orbit-63',
    fullName: 'Priya Nair',
    phone: '+447700900363',
    accounts: [
      { nickname: 'Main', typeCode: 'CACC', currency: 'GBP', openingMinor: 402_310n, overdraftMinor: 100_000n },
      { nickname: 'Travel fund', typeCode: 'SVGS', currency: 'GBP', openingMinor: 275_000n },
      { ...euro, openingMinor: 310_000n },
    ],
    life: {
      employer: 'Eastfield NHS Trust',
      salaryMinor: 356_240n,
      payDay: 27,
      landlord: 'Orchard Mortgages',
      rentMinor: 131_000n,
      savingsMinor: 40_000n,
      grocer: 'Market Row Foods',
      haunts: ['Saffron House', 'Metro Travel', 'Bloom Florists', 'Riverside Gym'],
    },
  },
  {
    username: 'george',
    password: 'Granite-Pepper-Sailing-85',
    fullName: 'George Whitcombe',
    phone: '+447700900485',
    accounts: [
      { nickname: 'Pension account', typeCode: 'CACC', currency: 'GBP', openingMinor: 158_900n },
      { nickname: 'Nest egg', typeCode: 'SVGS', currency: 'GBP', openingMinor: 3_250_000n },
    ],
    life: {
      employer: 'Severn Pension Scheme',
      salaryMinor: 174_600n,
      payDay: 20,
      landlord: 'Whitby Council Tax',
      rentMinor: 18_700n,
      savingsMinor: 15_000n,
      grocer: 'Harbour Stores',
      haunts: ['Garden World', 'The Ship Inn', 'Coastline Buses', 'Whitby Hardware'],
    },
  },
  {
    username: 'maya',
    password: 'Velvet-Compass-Thunder-19',
    fullName: 'Maya Okafor',
    phone: '+447700900519',
    accounts: [
      { nickname: 'Student account', typeCode: 'CACC', currency: 'GBP', openingMinor: 96_475n, overdraftMinor: 150_000n },
      { nickname: 'Pots', typeCode: 'SVGS', currency: 'GBP', openingMinor: 42_000n },
      { ...euro, openingMinor: 12_800n },
    ],
    life: {
      employer: 'Juniper Coffee Roasters',
      salaryMinor: 142_300n,
      payDay: 30,
      landlord: 'Student Quarters',
      rentMinor: 64_000n,
      savingsMinor: 5_000n,
      grocer: 'Corner Fresh',
      haunts: ['Vinyl Revival', 'Noodle Bar 88', 'City Buses', 'Campus Print'],
    },
  },
]
