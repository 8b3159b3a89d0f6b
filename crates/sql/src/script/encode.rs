use bytes::{BufMut, BytesMut};
use pinchpoint_script::{Client, Program, Protocol, Statement, Value};
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;

use crate::wire::{execute, patch_length};
use crate::{Connection, SqlError};

/// Puts a statement's messages into the connection's buffer, without what ends them (the simple
/// protocol needs nothing more). Says whether it is prepared by them.
pub(crate) fn statement(
    program: &Program,
    statement: &Statement,
    name: &str,
    client: &Client,
    connection: &mut Connection,
    text: &mut String,
) -> Result<bool, SqlError> {
    let bad = |e: std::io::Error| SqlError::wrong(e.to_string());
    let prepares = match program.protocol {
        Protocol::Simple => {
            text.clear();
            statement
                .write_simple(client.variables(), text)
                .map_err(|slot| no_value(program, slot))?;
            frontend::query(text, &mut connection.out).map_err(bad)?;
            return Ok(false);
        }
        Protocol::Extended => {
            frontend::parse("", &statement.sql, [], &mut connection.out).map_err(bad)?;
            false
        }
        Protocol::Prepared => {
            let known = connection.scripted.get(statement.index).copied().unwrap_or(false);
            if !known {
                // An earlier try may have prepared it without our knowing.
                frontend::close(b'S', name, &mut connection.out).map_err(bad)?;
                frontend::parse(name, &statement.sql, [], &mut connection.out).map_err(bad)?;
            }
            !known
        }
    };
    let name = if program.protocol == Protocol::Prepared { name } else { "" };
    bind(program, statement, name, client, &mut connection.out)?;
    if statement.gather.is_some() {
        frontend::describe(b'P', "", &mut connection.out).map_err(bad)?;
    }
    execute(&mut connection.out);
    Ok(prepares)
}

/// Binds the variables, as text whose type the server infers.
fn bind(
    program: &Program,
    statement: &Statement,
    name: &str,
    client: &Client,
    out: &mut BytesMut,
) -> Result<(), SqlError> {
    out.put_u8(b'B');
    let at = out.len();
    out.put_u32(0);
    out.put_u8(0);
    out.put_slice(name.as_bytes());
    out.put_slice(b"\0\0\0");
    out.put_u16(u16::try_from(statement.parameters.len()).unwrap_or(u16::MAX));
    for slot in &statement.parameters {
        let Some(Some(value)) = client.variables().get(*slot) else {
            return Err(no_value(program, *slot));
        };
        let length_at = out.len();
        out.put_i32(0);
        if let IsNull::Yes = value_text(value, out) {
            out[length_at..length_at + 4].copy_from_slice(&(-1_i32).to_be_bytes());
        } else {
            let length = out.len() - length_at - 4;
            let length = i32::try_from(length).unwrap_or(i32::MAX);
            out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
    out.put_u16(0);
    patch_length(out, at);
    Ok(())
}

fn value_text(value: &Value, out: &mut BytesMut) -> IsNull {
    if *value == Value::Null {
        return IsNull::Yes;
    }
    // The buffer grows; nothing can fail.
    let _ = value.write(out);
    IsNull::No
}

fn no_value(program: &Program, slot: usize) -> SqlError {
    let name = program.variable_name(slot);
    SqlError::script(format!("variable {name} has no value"))
}
