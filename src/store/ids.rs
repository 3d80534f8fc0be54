//! Our ids as both databases hold them: `uuid` in PostgreSQL, ULID texts in SQLite. Both sort by time.

use sqlx::database::Database;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo};
use sqlx::{Decode, Encode, Postgres, Sqlite, Type};
use ulid::Ulid;
use uuid::Uuid;

use crate::model::id::Id;

impl<Of> Type<Postgres> for Id<Of> {
    fn type_info() -> PgTypeInfo {
        <Uuid as Type<Postgres>>::type_info()
    }
}

impl<Of> PgHasArrayType for Id<Of> {
    fn array_type_info() -> PgTypeInfo {
        <Uuid as PgHasArrayType>::array_type_info()
    }
}

impl<Of> Encode<'_, Postgres> for Id<Of> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <Uuid as Encode<Postgres>>::encode(Uuid::from_u128(self.ulid().0), buffer)
    }
}

impl<'r, Of> Decode<'r, Postgres> for Id<Of> {
    fn decode(value: <Postgres as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        let uuid = <Uuid as Decode<Postgres>>::decode(value)?;
        Ok(Self::new(Ulid(uuid.as_u128())))
    }
}

impl<Of> Type<Sqlite> for Id<Of> {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl<Of> Encode<'_, Sqlite> for Id<Of> {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<Sqlite>>::encode(self.to_string(), buffer)
    }
}

impl<'r, Of> Decode<'r, Sqlite> for Id<Of> {
    fn decode(value: <Sqlite as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        let text = <&str as Decode<Sqlite>>::decode(value)?;
        Self::parse(text).ok_or_else(|| "not a ULID".into())
    }
}
