pub mod ds;
